"""What our modules for misp-modules do: the shims in `misp_modules/` call these, one each.

They run in the process of misp-modules: what comes in is MISP's JSON, what goes out is JSON that
MISP understands, and a failure is an answer that says so, within MISP's own time-outs.
"""
