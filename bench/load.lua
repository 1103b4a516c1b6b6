-- Each request is another detection: thread and counter make its iris_id.
local body = os.getenv("BENCH_BODY")
local counter, threads = 0, 0
function setup(thread) thread:set("id", threads); threads = threads + 1 end
function request()
   counter = counter + 1
   return wrk.format("POST", nil, nil, (body:gsub("IRISID", id .. "-" .. counter, 1)))
end
local refused = 0
function response(status) if status >= 300 then refused = refused + 1 end end
function done(summary, latency)
   io.write(string.format("RESULT %d %d %d %d\n", summary.requests, summary.duration,
      summary.errors.status + summary.errors.read + summary.errors.timeout,
      latency:percentile(99)))
end
