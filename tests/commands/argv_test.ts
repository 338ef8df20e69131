import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { canonicalArgv, type FlagTable, kebab, nearest } from "../../commands/argv.ts";
import { UsageError } from "../../lib/errors.ts";

const TABLE: FlagTable = {
  flags: {
    jobs: { kind: "parsed", brief: "", placeholder: "N" },
    maxArgs: { kind: "parsed", brief: "" },
    color: { kind: "enum", brief: "", values: ["auto", "never"] },
    keepOrder: { kind: "boolean", brief: "" },
    ungroup: { kind: "boolean", brief: "" },
    verbose: { kind: "counter", brief: "" },
    null: { kind: "boolean", brief: "" },
  },
  aliases: { j: "jobs", n: "maxArgs", k: "keepOrder", u: "ungroup", v: "verbose", 0: "null" },
  words: { usage: "CMD…", minimum: 0, maximum: Infinity, wrapsAfter: 0 },
};

/** One flag: what it means, and one of the ways to type it. A letter of a boolean may be typed in a cluster. */
interface Typed {
  canonical: string;
  words: string[];
  letter: string | undefined;
}

const value = fc.oneof(
  fc.constantFrom("4", "", "-1", "--", "a b", "=", "x=y", "\n", "--jobs", ":::"),
  fc.stringMatching(/^[a-z0-9=-]{1,4}$/),
);
const letters: Readonly<Record<string, string>> = {
  jobs: "j",
  maxArgs: "n",
  keepOrder: "k",
  ungroup: "u",
  null: "0",
};

const withValue = fc.tuple(fc.constantFrom("jobs", "maxArgs", "color"), value, fc.nat(4)).map(
  ([name, value, spelling]): Typed => {
    const letter = letters[name];
    const canonical = `--${kebab(name)}=${value}`;
    const attached = letter !== undefined && value !== "" && !value.startsWith("=");
    const words = spelling === 0
      ? [`--${kebab(name)}=${value}`]
      : spelling === 1
      ? [`--${name}`, value]
      : spelling === 2 && attached
      ? [`-${letter}${value}`]
      : spelling === 3 && attached
      ? [`-${letter}=${value}`]
      : letter !== undefined
      ? [`-${letter}`, value]
      : [`--${kebab(name)}`, value];
    return { canonical, words, letter: undefined };
  },
);
const withoutValue = fc.tuple(fc.constantFrom("keepOrder", "ungroup", "null"), fc.nat(2)).map(
  ([name, spelling]): Typed => {
    const canonical = `--${kebab(name)}`;
    if (spelling === 0) return { canonical, words: [`-${letters[name]}`], letter: letters[name] };
    return { canonical, words: [spelling === 1 ? canonical : `--${name}`], letter: undefined };
  },
);
const negated = fc.constantFrom("keepOrder", "ungroup").map((name): Typed => ({
  canonical: `--no-${kebab(name)}`,
  words: [`--no-${kebab(name)}`],
  letter: undefined,
}));
const flags = fc.array(fc.oneof(withValue, withoutValue, negated), { maxLength: 8 });

/** The words of flags; letters that follow each other may stand in one word, with one that takes a value behind them. */
function typed(flags: readonly Typed[], isClustered: boolean): string[] {
  const words: string[] = [];
  let cluster = "";
  for (const { words: own, letter } of flags) {
    if (isClustered && letter !== undefined) {
      cluster += letter;
      continue;
    }
    const [first, ...rest] = own;
    if (cluster !== "" && /^-[^-]/.test(first!)) words.push(`-${cluster}${first!.slice(1)}`, ...rest);
    else words.push(...(cluster === "" ? [] : [`-${cluster}`]), ...own);
    cluster = "";
  }
  return cluster === "" ? words : [...words, `-${cluster}`];
}

Deno.test("canonicalArgv() reads each spelling of each flag as the same, and stops at the wrapped command", () => {
  fc.assert(
    fc.property(
      flags,
      fc.boolean(),
      fc.boolean(),
      fc.constantFrom("gzip", "-", "a b", "", "{}"),
      fc.array(fc.constantFrom("-k", "--jobs", "--help", "-9", "--", "x", "--no-such-flag", ":::"), {
        maxLength: 5,
      }),
      (flags, isClustered, hasDashes, program, rest) => {
        const command = [program, ...rest];
        const argv = [...typed(flags, isClustered), ...(hasDashes ? ["--"] : []), ...command];
        const expected = { flags: flags.map(({ canonical }) => canonical), words: command, help: false };
        assertEquals(canonicalArgv(argv, TABLE), expected, JSON.stringify(argv));
      },
    ),
    { numRuns: 3_000 },
  );
});

Deno.test("canonicalArgv() reads flags between the named words, and stops at the word behind them", () => {
  const table = { ...TABLE, words: { ...TABLE.words, wrapsAfter: 1 } };
  const dump = ["pg_dump", "-Fc", "mydb", "--jobs", "9"];
  for (const argv of [["db", "-n5", ...dump], ["-n5", "db", ...dump], ["-n", "5", "db", "--", ...dump]]) {
    assertEquals(canonicalArgv(argv, table), {
      flags: ["--max-args=5"],
      words: ["db", ...dump],
      help: false,
    });
  }
});

Deno.test("canonicalArgv() reads flags anywhere where no command is wrapped", () => {
  const { wrapsAfter: _, ...words } = TABLE.words;
  assertEquals(canonicalArgv(["a", "-k", "b", "--", "-u"], { ...TABLE, words }), {
    flags: ["--keep-order"],
    words: ["a", "b", "-u"],
    help: false,
  });
});

Deno.test("canonicalArgv() sees that help is asked for, before the command only", () => {
  assert(canonicalArgv(["-j4", "--help"], TABLE).help);
  assert(canonicalArgv(["-h"], TABLE).help);
  assert(!canonicalArgv(["git", "--help"], TABLE).help);
});

Deno.test("canonicalArgv() names a flag that is unknown, and one that was probably meant", () => {
  const cases: [string[], string][] = [
    [["--keep-oder"], "unknown flag --keep-oder: did you mean --keep-order?"],
    [["--xyzzy"], "unknown flag --xyzzy: --help lists the flags"],
    [["--xyzzy=1"], "unknown flag --xyzzy: --help lists the flags"],
    [["-x"], "unknown flag -x: --help lists the flags"],
    [["-kx"], "unknown flag -x: --help lists the flags"],
    [["--no-jobs"], "unknown flag --no-jobs"],
    [["--no-keep-order=1"], "unknown flag --no-keep-order"],
    [["-j"], "-j needs a value: -j N"],
    [["--jobs"], "--jobs needs a value: --jobs N"],
    [["--color"], "--color needs a value: --color auto|never"],
    [["-kn"], "-n needs a value: -n VALUE"],
  ];
  for (const [argv, message] of cases) {
    assertThrows(() => canonicalArgv(argv, TABLE), UsageError, message, argv.join());
  }
});

Deno.test("nearest() gives the nearest within two edits, and nothing for what is far", () => {
  assertEquals(nearest("pol", ["pool", "timer"]), "pool");
  assertEquals(nearest("tiemr", ["pool", "timer"]), "timer");
  assertEquals(nearest("zzz", ["pool", "timer"]), undefined);
  assertEquals(nearest("x", ["y"]), undefined);
  assertEquals(nearest("x", []), undefined);
});

Deno.test("kebab() writes names as people type them", () => {
  assertEquals([kebab("keepOrder"), kebab("jobs"), kebab("aBC")], ["keep-order", "jobs", "a-b-c"]);
});

Deno.test("canonicalArgv() keeps the -- among the words where a command wants to know its place", () => {
  const words = { usage: "TARGET… [-- CMD…]", minimum: 1, maximum: Infinity, keepsSeparator: true };
  const parse = (...argv: string[]) => canonicalArgv(argv, { ...TABLE, words });
  assertEquals(parse("a", "-k", "b", "--", "-j4", "--", "c"), {
    flags: ["--keep-order"],
    words: ["a", "b", "--", "-j4", "--", "c"],
    help: false,
  });
  assertEquals(parse("a", "b").words, ["a", "b"]);
});
