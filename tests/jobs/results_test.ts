import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { bytesToText, textToBytes } from "../../lib/bytes.ts";
import { SystemError, UsageError } from "../../lib/errors.ts";
import { Results } from "../../lib/jobs/results.ts";
import { inDirectorySync } from "../helpers.ts";

/** Arguments that are no file names as they are. */
const argument = fc.oneof(
  fc.constantFrom(
    "",
    ".",
    "..",
    "/",
    "a/b",
    "../x",
    "\\",
    "\\_",
    "\t",
    "\\t",
    "a\nb",
    "é",
    "x".repeat(300),
    "\udcff",
  ),
  fc.uint8Array({ maxLength: 4 }).map((bytes) => bytesToText(bytes.map((byte) => byte || 1))),
);

Deno.test("Results.open() gives each argument a directory of its own, inside DIR/1", () => {
  inDirectorySync((directory) => {
    const results = new Results(directory);
    const owners = new Map<string, string>();
    let seq = 0;
    fc.assert(
      fc.property(argument, (argument) => {
        Deno.removeSync(directory, { recursive: true });
        {
          using files = results.open(++seq, [argument]);
          files.write("stdout", textToBytes("out"));
          files.write("stderr", textToBytes("err"));
        }
        assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name), ["1"]);
        const [entry, ...others] = [...Deno.readDirSync(`${directory}/1`)];
        assertEquals(others, []);
        const path = `${directory}/1/${entry!.name}`;
        assertEquals(["seq", "stdout", "stderr"].map((name) => Deno.readTextFileSync(`${path}/${name}`)), [
          `${seq}\n`,
          "out",
          "err",
        ]);
        assertEquals(owners.get(entry!.name) ?? argument, argument);
        owners.set(entry!.name, argument);
      }),
      { numRuns: 150 },
    );
    assert(owners.size > 20);
  });
});

Deno.test("Results.open() nests several arguments, and names a job without any by its number", () => {
  inDirectorySync((directory) => {
    const results = new Results(`${directory}/made/for/it`);
    results.open(1, ["a/b", "c"])[Symbol.dispose]();
    results.open(2, [])[Symbol.dispose]();
    for (const path of ["1/a\\_b/2/c/stdout", "1/2/seq"]) Deno.statSync(`${directory}/made/for/it/${path}`);
  });
});

Deno.test("Results.open() ends a name that is too long in the job's number, so that two stay two", () => {
  inDirectorySync((directory) => {
    const results = new Results(directory);
    for (const seq of [1, 2]) results.open(seq, ["é".repeat(100_000) + seq])[Symbol.dispose]();
    const names = [...Deno.readDirSync(`${directory}/1`)].map(({ name }) => name).sort();
    assertEquals(names.map((name) => name.slice(-3)), ["é-1", "é-2"]);
    assert(names.every((name) => textToBytes(name).length <= 255));
  });
});

Deno.test("ResultFiles.reset() begins again with empty files", () => {
  inDirectorySync((directory) => {
    using files = new Results(directory).open(1, ["a"]);
    files.write("stdout", textToBytes("first attempt"));
    files.reset();
    files.write("stdout", textToBytes("second"));
    assertEquals(Deno.readTextFileSync(`${directory}/1/a/stdout`), "second");
  });
});

Deno.test("Results says what stands in its way", () => {
  inDirectorySync((directory) => {
    Deno.writeTextFileSync(`${directory}/file`, "");
    assertThrows(
      () => new Results(`${directory}/file`),
      UsageError,
      `cannot write results to '${directory}/file'`,
    );
    const results = new Results(directory);
    Deno.writeTextFileSync(`${directory}/1`, "");
    assertThrows(() => results.open(1, ["a"]), SystemError, `cannot write results to '${directory}/1/a'`);
  });
});
