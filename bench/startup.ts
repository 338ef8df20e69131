/**
 * How long conc takes to start: `conc --version` beside an empty program that is compiled in the same way.
 *
 * @module
 */

import { compile } from "../tools/compile.ts";
import { concExecutable } from "./executable.ts";
import { compare, runProgram } from "./measure.ts";

const ROUNDS = 40;

export default async function startup(): Promise<void> {
  const conc = concExecutable();
  const directory = await Deno.makeTempDir({ prefix: "conc-bench-" });
  try {
    const source = `${directory}/empty.js`;
    const empty = `${directory}/empty`;
    await Deno.writeTextFile(source, "");
    await compile([source], { path: empty });
    const version = async () => {
      const printed = new TextDecoder().decode(await runProgram([conc, "--version"]));
      if (!/^\S.*\n$/.test(printed)) throw new Error(`conc --version printed no version: '${printed}'`);
    };
    await compare([
      { name: "conc --version", run: version },
      { name: "empty program", run: async () => void await runProgram([empty]), target: { atMost: 1.2 } },
    ], { title: "startup: conc --version and an empty program, compiled alike", rounds: ROUNDS });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
