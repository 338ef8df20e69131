/**
 * What benches share: contenders that take turns, and the table of what was measured.
 *
 * @module
 */

/** One of those that are compared. */
export interface Contender {
  name: string;
  /** Does the work once. Throws if the work was not done: a figure of nothing is worse than none. */
  run(): Promise<void>;
  /** How many rounds it takes part in, for one that is much slower than the others. Default: all. */
  rounds?: number;
  /** What conc must reach beside it. */
  target?: Target;
}

/** A contender that cannot be measured here. */
export interface Absent {
  name: string;
  /** The program that is missing. */
  missing: string;
}

/** The least, or the most, that the ratio of conc to a peer may be. */
export type Target = { atLeast: number } | { atMost: number };

/** What {@link compare} prints. */
export interface CompareOptions {
  title: string;
  /** How often each contender runs. */
  rounds: number;
  /** How many jobs one run does. With it the ratio is that of jobs per second, without it that of times. */
  jobs?: number;
}

/**
 * Measures conc, which is the first contender, beside the others, and prints a table. The contenders take turns, so that what
 * else the machine does hits them all alike; the median of the rounds counts.
 *
 * @throws {Error} If a contender did not do its work.
 */
export async function compare(
  contenders: readonly (Contender | Absent)[],
  { title, rounds, jobs }: CompareOptions,
): Promise<void> {
  const present = contenders.filter((contender) => "run" in contender);
  const timesMs = present.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { run, rounds: limit = rounds }] of present.entries()) {
      if (round >= limit) continue;
      const startedMs = performance.now();
      await run();
      timesMs[index]!.push(performance.now() - startedMs);
    }
  }
  const concMs = median(timesMs[0]!);
  const rate = (ms: number) => jobs! * 1_000 / ms;
  const rows = present.map(({ name, target }, index) => {
    const times = timesMs[index]!;
    const ms = median(times);
    const ratio = jobs === undefined ? concMs / ms : rate(concMs) / rate(ms);
    return [
      name,
      `${ms.toFixed(1)} ms`,
      `${Math.min(...times).toFixed(1)} ms`,
      String(times.length),
      ...(jobs === undefined ? [] : [rate(ms).toFixed(0)]),
      index === 0 ? "" : ratio.toFixed(2),
      target === undefined ? "" : describe(target, ratio),
    ];
  });
  const ratioTitle = jobs === undefined ? "conc's time to it" : "conc's rate to it";
  printTable(title, [
    ["", "median", "minimum", "rounds", ...(jobs === undefined ? [] : ["jobs/s"]), ratioTitle, "target"],
    ...rows,
  ]);
  for (const contender of contenders) {
    if ("missing" in contender) {
      console.log(`  skipped: ${contender.name}: ${contender.missing} is not installed`);
    }
  }
}

/** Prints a title and aligned rows. */
export function printTable(title: string, rows: readonly (readonly string[])[]): void {
  console.log(`\n${title}`);
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows) {
    const cells = row.map((cell, column) => {
      const isText = column === 0 || column === row.length - 1;
      return isText ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
    });
    console.log(`  ${cells.join("  ").trimEnd()}`);
  }
}

/** A target beside what was reached, such as `at least 1.3: ok`. */
export function describe(target: Target, reached: number): string {
  if ("atLeast" in target) return `at least ${target.atLeast}: ${reached >= target.atLeast ? "ok" : "below"}`;
  return `at most ${target.atMost}: ${reached <= target.atMost ? "ok" : "above"}`;
}

/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle) - 1]!) / 2;
}

/**
 * Runs a program to its end.
 *
 * @param words The program and its arguments.
 * @param options `stdin`: what it reads.
 * @returns What it printed.
 * @throws {Error} If it fails.
 */
export async function runProgram(
  words: readonly string[],
  { stdin = "", env = {} }: { stdin?: string; env?: Record<string, string> } = {},
): Promise<Uint8Array> {
  const [program, ...args] = words;
  const piped = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
  const command = new Deno.Command(program!, { args, env, ...piped });
  const child = command.spawn();
  const fed = feed(child.stdin, stdin);
  const { success, code, stdout, stderr } = await child.output();
  await fed;
  if (success) return stdout;
  throw new Error(`${words.join(" ")} ended with ${code}: ${new TextDecoder().decode(stderr).trim()}`);
}

async function feed(stdin: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // It reads nothing, or not to the end; what it did is checked by what it prints.
  }
}
