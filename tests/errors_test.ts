import { assert, assertEquals } from "@std/assert";
import * as errors from "../lib/errors.ts";

const { ConcError, InterruptedError, reason, SpawnError, SystemError, UsageError } = errors;

Deno.test("errors: each class is a ConcError that bears its own name", () => {
  const classes = Object.entries(errors).filter(([name]) => name.endsWith("Error") && name !== "ConcError");
  assertEquals(classes.length, 12);
  for (const [name, value] of classes) {
    const ErrorClass = value as unknown as new (message: string, options: object) => Error;
    const error = new ErrorClass("SIGINT", { exitCode: 127, cause: undefined });
    assertEquals(error.name, name);
    assert(error instanceof ConcError, name);
  }
});

Deno.test("errors: SpawnError is a SystemError with an exit code and a cause", () => {
  const cause = new Error("inner");
  const error = new SpawnError("cannot run 'x'", { exitCode: 126, cause });
  assert(error instanceof SystemError);
  assertEquals([error.exitCode, error.cause, error.message], [126, cause, "cannot run 'x'"]);
});

Deno.test("errors: InterruptedError names its signal", () => {
  const error = new InterruptedError("SIGTERM");
  assertEquals([error.signal, error.message], ["SIGTERM", "interrupted by SIGTERM"]);
});

Deno.test("errors: a UsageError keeps its cause", () => {
  const cause = new Error("inner");
  assertEquals(new UsageError("outer", { cause }).cause, cause);
});

Deno.test("reason() keeps the system's words, without Deno's and without numbers", () => {
  const cases: [unknown, string][] = [
    [new Error("No such file or directory (os error 2): open 'x'"), "No such file or directory"],
    [new Error("Permission denied (os error 13)"), "Permission denied"],
    [new Error("NotFound: it is gone"), "it is gone"],
    [new Error("Failed to spawn './x y': Exec format error (os error 8)"), "Exec format error"],
    [new Error("first line\nsecond line"), "first line"],
    [new Error("it is a directory"), "it is a directory"],
    ["thrown text", "thrown text"],
    [undefined, "undefined"],
  ];
  for (const [error, expected] of cases) assertEquals(reason(error), expected);
});

Deno.test("reason() makes one line of what this system says of a missing file", async () => {
  const error = await Deno.open("does/not/exist").then(() => undefined, (error) => error);
  assert(/^[^\n()]+$/.test(reason(error)), reason(error));
});
