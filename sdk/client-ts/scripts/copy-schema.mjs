// tsc emits nothing for .d.ts sources, but the emitted declarations import the schema from their own folder.
import { copyFileSync } from "node:fs";

copyFileSync(new URL("../src/schema.d.ts", import.meta.url), new URL("../dist/schema.d.ts", import.meta.url));
