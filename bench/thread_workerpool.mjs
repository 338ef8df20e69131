// A Worker of workerpool, which wants its tasks registered.

import { createRequire } from "node:module";
import * as tasks from "./thread_tasks.mjs";

createRequire(import.meta.url)(process.argv.at(-1)).worker({ ...tasks });
