import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { UsageError } from "../../lib/errors.ts";
import { Template } from "../../lib/jobs/template.ts";
import { quoteForShell } from "../../lib/process/command_line.ts";

const WHERE = { seq: 12, slot: 3 };

/** Arguments as they come: paths, spaces, what looks like a placeholder, what a shell would act on. */
const argument = fc.oneof(
  fc.constantFrom(
    "",
    "/",
    "a.b/c",
    "/x/y.tar.gz",
    "./.hidden",
    "a b",
    "{}",
    "{1}",
    "{#}x{.}",
    "$(touch pwned)",
    "'",
    "f.",
  ),
  fc.stringMatching(/^[a.\/{}#% $']{0,6}$/),
);
const kind = fc.constantFrom("", ".", "/", "//", "/.");
const position = fc.constantFrom("", "1", "2", "3", "-1", "-2");
const placeholder = fc.oneof(
  fc.tuple(position, kind).map(([position, kind]) => `{${position}${kind}}`),
  fc.constantFrom("{#}", "{%}"),
);
const literal = fc.constantFrom("", "a", "-x=", "{", "}", "{0}", "{x}", "{ }", "{1.5}", ".txt", "{-0}");
const word = fc.array(fc.oneof(placeholder, literal), { minLength: 1, maxLength: 4 });

/** What a placeholder stands for, said in another way than the template says it. */
function expand(placeholder: string, args: readonly string[]): string[] {
  const inner = placeholder.slice(1, -1);
  if (inner === "#") return [String(WHERE.seq)];
  if (inner === "%") return [String(WHERE.slot)];
  const number = parseInt(inner);
  const chosen = Number.isNaN(number)
    ? args
    : [(number > 0 ? args[number - 1] : args[args.length + number]) ?? ""];
  return chosen.map((arg) => {
    const parts = arg.split("/");
    const base = parts.pop()!;
    const stem = base.includes(".") ? base.split(".").slice(0, -1).join(".") : base;
    const shortening = inner.replace(/^-?\d+/, "");
    if (shortening === "/") return base;
    if (shortening === "/.") return stem;
    if (shortening === "//") return /^\/+$/.test(arg) ? "/" : parent(arg.split(/(?<=[^/])\/+$/)[0]!);
    return shortening === "." ? [...parts, stem].join("/") : arg;
  });
}

/** What is before the last name of a path that ends in one. */
function parent(path: string): string {
  const names = path.split("/");
  names.pop();
  while (names.length > 1 && names.at(-1) === "") names.pop();
  return names.length === 0 ? "." : names.join("/") || "/";
}

function isPlaceholder(part: string): boolean {
  return /^\{(#|%|(-?[1-9]\d*)?(\/\/|\/\.|\/|\.)?)\}$/.test(part);
}

Deno.test("Template.fill() fills each placeholder once, as the model does, and looks at no input again", () => {
  fc.assert(
    fc.property(
      fc.array(word, { maxLength: 3 }),
      fc.array(argument, { minLength: 1, maxLength: 3 }),
      (words, args) => {
        // Parts that make up a placeholder only together are not what the model knows.
        fc.pre(words.every((parts) =>
          parts.join("").split(/(\{[^{}]*\})/).filter(isPlaceholder).length ===
            parts.filter(isPlaceholder).length
        ));
        const template = new Template(["cmd", ...words.map((parts) => parts.join(""))], { shell: false });
        const usesNone = !words.flat().some(isPlaceholder);
        const expected = words.flatMap((all) => {
          const parts = all.filter((part) => part !== "");
          if (parts.length === 1 && isPlaceholder(parts[0]!)) return expand(parts[0]!, args);
          return [parts.map((part) => isPlaceholder(part) ? expand(part, args).join(" ") : part).join("")];
        });
        assertEquals(template.fill({ args, ...WHERE }).words, [
          "cmd",
          ...expected,
          ...(usesNone ? args : []),
        ]);
      },
    ),
    { numRuns: 3_000 },
  );
});

Deno.test("Template.fill() quotes each value that it puts into a script", () => {
  fc.assert(
    fc.property(placeholder, fc.array(argument, { minLength: 1, maxLength: 3 }), (placeholder, args) => {
      const { words, text } = new Template([`echo ${placeholder}; true`]).fill({ args, ...WHERE });
      const script = `echo ${expand(placeholder, args).map(quoteForShell).join(" ")}; true`;
      assertEquals({ words, text }, { words: ["sh", "-c", script], text: script });
    }),
    { numRuns: 500 },
  );
});

Deno.test("Template.fill() says as text what a shell would run as words", () => {
  fc.assert(
    fc.property(fc.array(argument, { minLength: 1, maxLength: 3 }), (args) => {
      const { words, text } = new Template(["cmd", "{}"]).fill({ args, ...WHERE });
      assertEquals(text, words.map(quoteForShell).join(" "));
    }),
  );
});

Deno.test("Template appends the arguments where no placeholder is, and not with append: false", () => {
  const args = ["a b", "c"];
  assertEquals(new Template(["echo"]).fill({ args, ...WHERE }).words, ["echo", "a b", "c"]);
  assertEquals(new Template(["echo x;echo"]).fill({ args, ...WHERE }).text, "echo x;echo 'a b' c");
  assertEquals(new Template(["echo"], { append: false }).fill({ args, ...WHERE }).words, ["echo"]);
  assertEquals(new Template(["echo", "{#}"]).fill({ args, ...WHERE }).words, ["echo", "12"]);
});

Deno.test("Template joins words for a shell that is asked for, and splits none for one that is forbidden", () => {
  const filling = { args: ["a b"], ...WHERE };
  assertEquals(new Template(["echo", "$HOME", "{}"], { shell: true }).fill(filling).words, [
    "sh",
    "-c",
    "echo $HOME 'a b'",
  ]);
  assertEquals(new Template(["my program"], { shell: false }).fill(filling).words, ["my program", "a b"]);
});

Deno.test("Template knows its program, and whether it differs from slot to slot", () => {
  const programs: [string[], string | undefined][] = [
    [["gzip", "{}"], "gzip"],
    [["{}"], undefined],
    [["./{}.sh"], undefined],
    [["a | b"], undefined],
  ];
  for (const [words, program] of programs) assertEquals(new Template(words).program, program);
  assert(new Template(["echo", "x{%}"]).usesSlot);
  assert(!new Template(["echo", "{#}"]).usesSlot);
});

Deno.test("Template refuses no command", () => {
  assertThrows(() => new Template([]), UsageError, "no command");
  assertThrows(() => new Template([""]), UsageError, "no command");
});
