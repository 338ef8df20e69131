/**
 * conc: argv to a command, a command to an exit code. The one place that prints errors and exits.
 *
 * @module
 */

import { processContext } from "./commands/context.ts";
import { errorLine, exitCodeOf } from "./commands/exit_code.ts";
import { runCommandLine } from "./commands/run.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(argv: readonly string[]): Promise<number> {
  const context = processContext();
  try {
    return await runCommandLine(argv, context);
  } catch (error) {
    const line = errorLine(error, Boolean(context.env.get("CONC_DEBUG")));
    if (line !== undefined) await context.stderr.write(`${line}\n`).catch(() => {});
    return exitCodeOf(error);
  }
}
