import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { bytesToText, isWellFormed } from "../../lib/bytes.ts";
import { portableWords, quoteForShell, shellWords, wantsShell } from "../../lib/process/command_line.ts";

const posix = Deno.build.os !== "windows";

/** Text that a shell would act on, without NUL. */
const hostile = fc.oneof(
  fc.constantFrom(
    "",
    "'",
    "''",
    '"',
    "$(x)",
    "`x`",
    "\\",
    "a\nb",
    "\n",
    "-n",
    "~",
    "*",
    "!",
    "a=b",
    "#",
    "é",
    "\t",
  ),
  fc.string({ unit: "binary", maxLength: 8 }).map((text) => text.replaceAll("\0", "x").toWellFormed()),
  fc.stringMatching(/^[$`'"\\\n !*?~a]{0,8}$/),
);

/** The same, with bytes that are no UTF-8. */
const anyWord = fc.oneof(
  hostile,
  fc.uint8Array({ maxLength: 8 }).map((bytes) => bytesToText(bytes.map((byte) => byte || 1))),
);

async function run(words: readonly string[]): Promise<Uint8Array> {
  const [program, ...args] = words;
  const { stdout, success } = await new Deno.Command(program!, { args, stderr: "inherit" }).output();
  assertEquals(success, true);
  return stdout;
}

Deno.test({
  name: "quoteForShell() makes one word of any text, which a real shell gives back",
  ignore: !posix,
  async fn() {
    await fc.assert(
      fc.asyncProperty(fc.array(hostile, { minLength: 1, maxLength: 200, size: "max" }), async (words) => {
        const script = `printf '%s\\0' ${words.map(quoteForShell).join(" ")}`;
        const printed = new TextDecoder("utf-8", { ignoreBOM: true }).decode(await run(["sh", "-c", script]));
        assertEquals(printed.split("\0").slice(0, -1), words);
      }),
      { numRuns: 20 },
    );
  },
});

Deno.test({
  name: "portableWords() runs a command with any bytes in its words",
  ignore: !posix,
  async fn() {
    await fc.assert(
      fc.asyncProperty(fc.array(anyWord, { minLength: 1, maxLength: 30, size: "max" }), async (words) => {
        const portable = portableWords(["printf", "%s\\0", ...words]);
        assertEquals(portable.every(isWellFormed), true);
        const printed = bytesToText(await run(portable));
        assertEquals(printed.split("\0").slice(0, -1), words);
      }),
      { numRuns: 30 },
    );
  },
});

Deno.test("portableWords() leaves words of valid UTF-8 as they are", () => {
  fc.assert(fc.property(fc.array(hostile), (words) => assertEquals(portableWords(words), words)));
});

Deno.test({
  name: "portableWords() becomes the command: no shell is left in between",
  ignore: !posix,
  async fn() {
    const words = portableWords(["sh", "-c", "ps -o comm= -p $$", "\udcff"]);
    assertEquals(new TextDecoder().decode(await run(words)).trim(), "sh");
    const [program, ...args] = portableWords(["sleep", "0\udcff"]);
    const { code } = await new Deno.Command(program!, { args, stderr: "null" }).output();
    assertEquals(code, 1);
  },
});

Deno.test("wantsShell() is for one word with white space or an operator, unless it is forced", () => {
  for (const word of ["a b", "a|b", "a&b", "a;b", "a>b", "a<b", "a$b", "$(a)", "`a`", "a\tb", "a\nb"]) {
    assertEquals([wantsShell([word]), wantsShell([word], false), wantsShell([word, "x"])], [
      true,
      false,
      false,
    ]);
  }
  for (const word of ["gzip", "./a-b_c.sh", "a=b", "{}", "a*", "~/x", "é"]) {
    assertEquals([wantsShell([word]), wantsShell([word], true)], [false, true]);
  }
});

Deno.test({
  name: "shellWords() gives the script to sh",
  ignore: !posix,
  fn() {
    assertEquals(shellWords("a; b"), ["sh", "-c", "a; b"]);
  },
});
