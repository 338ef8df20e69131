import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { errorLine, exitCodeOf } from "../../commands/exit_code.ts";
import * as errors from "../../lib/errors.ts";
import { ReaderGoneError } from "../../lib/report/output.ts";

const CASES: [unknown, number, string | undefined][] = [
  [new errors.UsageError("bad value"), 2, "conc: bad value"],
  [new errors.WouldBlockError("taken"), 75, "conc: taken"],
  [new errors.TimeoutError("too late"), 124, "conc: too late"],
  [new errors.HeldUpError("no way in"), 124, "conc: no way in"],
  [new errors.SystemError("disk full"), 125, "conc: disk full"],
  [new errors.SpawnError("not there", { exitCode: 127, cause: undefined }), 127, "conc: not there"],
  [new errors.SpawnError("no program", { exitCode: 126, cause: undefined }), 126, "conc: no program"],
  [new errors.NotHeldError("not held"), 1, "conc: not held"],
  [new errors.BrokenLeaseError("owner died"), 1, "conc: owner died"],
  [new errors.ClosedError("closed"), 1, "conc: closed"],
  [new errors.ConnectionError("refused"), 1, "conc: refused"],
  [new errors.WorkerDiedError("it died"), 1, "conc: it died"],
  [new errors.InterruptedError("SIGINT"), 130, undefined],
  [new errors.InterruptedError("SIGTERM"), 143, undefined],
  [new errors.InterruptedError("SIGHUP"), 129, undefined],
  [new ReaderGoneError("gone"), 141, undefined],
  [
    new TypeError("two\nlines"),
    125,
    "conc: internal error: two lines: set CONC_DEBUG=1 to see where, and report it",
  ],
  ["text", 125, "conc: internal error: text: set CONC_DEBUG=1 to see where, and report it"],
  [undefined, 125, "conc: internal error: undefined: set CONC_DEBUG=1 to see where, and report it"],
];

Deno.test("exitCodeOf() gives each error the exit code of the contract", () => {
  for (const [error, code] of CASES) assertEquals(exitCodeOf(error), code, String(error));
});

Deno.test("errorLine() says what happened in one line, or nothing where conc ends quietly", () => {
  for (const [error, , line] of CASES) assertEquals(errorLine(error, false), line);
});

Deno.test("errorLine() with debug shows where it happened", () => {
  for (const [error] of CASES) {
    const line = errorLine(error, true)!;
    if (error instanceof Error) assertStringIncludes(line, "exit_code_test.ts");
    else assertEquals(line, String(error));
  }
});

Deno.test("exitCodeOf() knows each error class that there is", () => {
  const known = new Set(CASES.flatMap(([error]) => error instanceof errors.ConcError ? [error.name] : []));
  for (const name of Object.keys(errors).filter((name) => name.endsWith("Error") && name !== "ConcError")) {
    assert(known.has(name), name);
  }
});
