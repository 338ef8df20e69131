/**
 * `conc sem acquire` at a broker: a permit is held by a connection there, so a process stays that keeps one, in a session of its own.
 *
 * The two talk over the keeper's stdin and stdout. It is told what to take and for whom, takes it, and answers with all that there is to print;
 * once that is printed it hears so. If it hears nothing until its stdin ends, nobody knows the token: it gives back what it has, and ends.
 * So there is no moment in which permits are held for a caller that is gone. The URL goes over the pipe: arguments are seen by everybody.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { textToBytes } from "../lib/bytes.ts";
import { ConnectionError, SystemError } from "../lib/errors.ts";
import { identityOf } from "../lib/host/owner.ts";
import { jsonLines } from "../lib/json_lines.ts";
import type { Loan } from "../lib/named.ts";
import { selfWords } from "../lib/process/self.ts";
import { ndjson } from "../lib/report/ndjson.ts";
import { Output } from "../lib/report/output.ts";
import { Timer } from "../lib/time/timer.ts";
import type { Context } from "./context.ts";
import { errorLine, exitCodeOf, SUCCESS } from "./exit_code.ts";
import { openReach } from "./reach.ts";
import { acquiredText, type AcquireFlags, acquirePermits, type HeldFor } from "./sem_lending.ts";

/** What a keeper is told first. */
type Order = { flags: AcquireFlags; heldFor: HeldFor };

/** What it answers. */
type Answer = { exitCode: number; stdout: string; stderr: string };

/** From one look whether the owner lives to the next. */
const LOOK_MS = 200;
/** How long a keeper that is not needed any more is waited for. */
const GIVE_BACK_MS = 5_000;

/**
 * Has a keeper take permits, and prints what it answers.
 *
 * @param options `flags`: with the broker's URL as `store`; `signal`: ends the wait.
 * @returns The exit code.
 */
export async function acquireByKeeper(
  context: Context,
  { name, signal, ...order }: Order & { name: string; signal: AbortSignal },
): Promise<number> {
  const [program, ...first] = selfWords();
  const child = new Deno.Command(program!, {
    args: [...first, "sem", "acquire", "--keeper", "--", name],
    ...{ stdin: "piped", stdout: "piped", stderr: "null" },
    detached: true,
  }).spawn();
  child.unref();
  const writer = child.stdin.getWriter();
  const answers = jsonLines(child.stdout);
  // A keeper that is gone does not listen; that it is gone is seen below.
  const tell = (value: object) =>
    writer.write(textToBytes(ndjson({ type: "order", ...value }))).catch(() => {});
  const hangUp = () => void writer.close().catch(() => {});
  signal.addEventListener("abort", hangUp, { once: true });
  if (signal.aborted) hangUp();
  let isKept = false;
  try {
    await tell(order);
    const { value: answer } = await answers.next() as { value: Answer | undefined };
    signal.throwIfAborted();
    if (answer === undefined) {
      throw new SystemError("cannot keep permits as the process that was to do so ended at once: try again");
    }
    const { exitCode, stdout, stderr } = answer;
    if (stderr !== "") await context.stderr.write(stderr);
    if (stdout !== "") await context.stdout.write(stdout);
    signal.throwIfAborted();
    await tell({ kept: true });
    isKept = exitCode === SUCCESS;
    return exitCode;
  } finally {
    signal.removeEventListener("abort", hangUp);
    hangUp();
    if (!isKept) await endOf(answers);
  }
}

/** Is the keeper. */
export async function keep(context: Context, name: string): Promise<number> {
  const said = jsonLines(context.stdin);
  const { flags, heldFor } = (await said.next()).value as Order;
  const gone = new AbortController();
  const confirmed = said.next().then(({ done }) => {
    if (done) gone.abort(new ConnectionError("whoever asked for permits is gone"));
    return !done;
  });
  const [stdout, stderr] = [new Pages(), new Pages()];
  const silent = { ...context, stdout: new Output(stdout, "stdout"), stderr: new Output(stderr, "stderr") };
  const answer = (exitCode: number) =>
    context.stdout.write(ndjson({ type: "answer", exitCode, stdout: stdout.text, stderr: stderr.text }));
  try {
    await using reach = await openReach(silent, flags, { signal: gone.signal });
    const acquired = await acquirePermits(silent, {
      ...{ flags, name, reach, signal: gone.signal },
      lend: (semaphore, options) => semaphore.keep!({ ...options, ...heldFor }),
    });
    if ("exitCode" in acquired) {
      await answer(acquired.exitCode);
      return acquired.exitCode;
    }
    const { lease: loan, waitedMs } = acquired;
    await silent.stdout.write(acquiredText(flags, { name, token: loan.token, heldFor, waitedMs }));
    await answer(SUCCESS);
    if (await confirmed) await untilOver(loan, heldFor);
    await loan.end();
    return SUCCESS;
  } catch (error) {
    const line = errorLine(error, Boolean(context.env.get("CONC_DEBUG")));
    if (line !== undefined) await silent.stderr.write(`${line}\n`);
    await answer(exitCodeOf(error));
    return exitCodeOf(error);
  }
}

/** Waits until a loan has ended, or is to: its owner has ended, or its time is over. */
async function untilOver(loan: Loan, heldFor: HeldFor): Promise<void> {
  // No directory is in use for it, and no pipe.
  Deno.chdir("/");
  Deno.stdin.close();
  Deno.stdout.close();
  const over = new AbortController();
  void loan.ended.then(() => over.abort());
  if ("ttlMs" in heldFor) {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = new Timer(heldFor.ttlMs, resolve);
    return await Promise.race([loan.ended, promise]);
  }
  const { pid, started } = heldFor.owner;
  while (!over.signal.aborted && identityOf(pid)?.started === started) {
    await delay(LOOK_MS, { signal: over.signal }).catch(() => {});
  }
}

/** Waits until a keeper has ended, which closes its stdout. */
async function endOf(answers: AsyncGenerator<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  using _timer = new Timer(GIVE_BACK_MS, resolve);
  const drained = (async () => {
    for await (const _ of answers);
  })();
  await Promise.race([drained.catch(() => {}), promise]);
}

/** What is written, kept as text. */
class Pages {
  readonly #decoder = new TextDecoder();
  text = "";

  write(bytes: Uint8Array): Promise<number> {
    this.text += this.#decoder.decode(bytes, { stream: true });
    return Promise.resolve(bytes.length);
  }

  isTerminal(): boolean {
    return false;
  }
}
