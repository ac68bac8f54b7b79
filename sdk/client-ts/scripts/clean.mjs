// Empties the output folders named on the command line, so that a removed source leaves nothing behind.
import { rmSync } from "node:fs";

for (const folder of process.argv.slice(2)) {
  if (folder !== "dist" && folder !== ".build") throw new Error(`${folder} is not an output folder`);
  rmSync(new URL(`../${folder}`, import.meta.url), { recursive: true, force: true });
}
