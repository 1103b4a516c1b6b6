// Fills ../static/dist: names carry a hash of the content, manifest.json says which is which.
import { rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { build } from "esbuild";

const OUT = new URL("../static/dist/", import.meta.url).pathname;

await rm(OUT, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: { app: "entry.js" },
  outdir: OUT,
  entryNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome109", "firefox115", "safari16.4"],
  legalComments: "linked",
  metafile: true,
});
const files = Object.keys(metafile.outputs).map((path) => basename(path));
const named = (ending) => files.find((name) => name.endsWith(ending));
const manifest = { "app.js": named(".js"), "app.css": named(".css") };
await writeFile(`${OUT}manifest.json`, `${JSON.stringify(manifest, null, 2)}\n`);
console.log(`built ${Object.values(manifest).join(", ")}`);
