/**
 * `conc lock run` and `conc sem run` at a broker: a keeper holds what the command runs under. So it stays held if conc is killed (SIGKILL, no
 * memory left) as long as a process of the command lives, as on one machine, and also while conc is stopped.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { SystemError } from "../lib/errors.ts";
import { FENCE_VARIABLE, type JobLease } from "../lib/named.ts";
import { type GuardedJob, guardVariables, jobLives, processesOf } from "../lib/process/guarded.ts";
import { identityOf } from "../lib/process/identity.ts";
import { endProcesses } from "../lib/process/terminate.ts";
import { Timer } from "../lib/time/timer.ts";
import type { Context } from "./context.ts";
import type { CommonFlags } from "./declaration.ts";
import { SUCCESS } from "./exit_code.ts";
import { acquire, type Acquired, type HoldingFlags, type MakeGuard, type Place } from "./holding.ts";
import { type HeldLease, Keeper, Principal } from "./keeper.ts";
import { SIGNALS } from "./interrupt.ts";
import { openReach } from "./reach.ts";

/** What a keeper is told first: what to hold, and for whom. */
type Order<F> = { flags: F; name: string; text: string; pid: number };

/** What it is told later: which process the command began with; that of a loss was heard; that what it holds is not needed any more. */
type Notice = { began: number } | { heard: true } | { over: true };

/** From one look whether a command lives to the next. */
const LOOK_MS = 200;

/**
 * A keeper shows life once in the grace that its loss leaves, 0.4 heartbeats. It may be silent for so many of these, a heartbeat, and a moment more for
 * what has come and was not read, as we were stopped ourselves. The broker has heard of it half a heartbeat before it stood still, or later, and
 * waits for two.
 */
const SILENCE_GRACES = 2.5;
const MOMENT_GRACES = 0.25;

/**
 * What a keeper holds, as the command sees it.
 *
 * Invariant: `lost` is aborted before the broker gives to another what is held: when the keeper says so, has ended, or shows no life.
 */
class KeptLease implements JobLease {
  readonly token: string;
  readonly graceMs: number;
  readonly #fence: number;
  readonly #tell: (notice: Notice) => void;
  readonly #lost = new AbortController();

  constructor({ token, fence, graceMs }: HeldLease, tell: (notice: Notice) => void) {
    this.token = token;
    this.graceMs = graceMs;
    this.#fence = fence;
    this.#tell = tell;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  lose(message: string): void {
    this.#lost.abort(new SystemError(message));
  }

  guard(env?: { get(name: string): string | undefined }): Record<string, string> {
    return { ...guardVariables(this.token, env), [FENCE_VARIABLE]: String(this.#fence) };
  }

  guards(pid: number): void {
    this.#tell({ began: pid });
  }

  release(): void {
    this.#tell({ over: true });
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** A keeper holds it. */
export class KeptPlace<F> implements Place {
  readonly #keeper: Keeper;

  /** @param command Of which command it is: `lock`. */
  constructor(context: Context, command: "lock" | "sem", order: Omit<Order<F>, "pid">) {
    const words = [command, "run", "--keeper", "--", order.name];
    this.#keeper = new Keeper(context, words, { ...order, pid: Deno.pid });
  }

  async acquire(signal: AbortSignal): Promise<Acquired<KeptLease>> {
    const word = await this.#keeper.first(signal);
    if (word.type === "result") return { exitCode: word.exitCode };
    const held = (word as { lease: HeldLease }).lease;
    const lease = new KeptLease(held, (notice) => this.#keeper.tell(notice));
    void this.#watch(lease);
    return { lease, what: held.what, waitedMs: held.waitedMs };
  }

  async giveBack(lease: JobLease): Promise<void> {
    lease.release();
    await this.#keeper.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keeper.end();
  }

  /** Until it is given back, or lost. */
  async #watch(lease: KeptLease): Promise<void> {
    let isHeard = true;
    const silenceMs = lease.graceMs * SILENCE_GRACES;
    using silence = new Timer(silenceMs, () => {
      if (isHeard) {
        isHeard = false;
        silence.restart(lease.graceMs * MOMENT_GRACES);
      } else lease.lose("the process that keeps it shows no life");
    });
    for (;;) {
      const word = await this.#keeper.next().catch(() => undefined);
      isHeard = true;
      silence.restart(silenceMs);
      if (word?.type === "alive") continue;
      if (word === undefined) lease.lose("the process that kept it was ended");
      else if (word.type === "lost") {
        this.#keeper.tell({ heard: true });
        lease.lose(word.message);
      }
      return;
    }
  }
}

/** Is the keeper. */
export async function keep<F extends HoldingFlags & CommonFlags>(
  context: Context,
  makeGuard: MakeGuard<F>,
): Promise<number> {
  // It ends when it is not needed.
  for (const signal of SIGNALS) Deno.addSignalListener(signal, () => {});
  const { principal, order } = await Principal.listen<Order<F>>(context);
  const { flags, name, text, pid } = order;
  return await principal.answer(async () => {
    const { gone: signal, context } = principal;
    await using reach = await openReach(context, flags, { signal, pid });
    const guard = (wait: object) => makeGuard({ flags, name, text, reach, ...wait });
    const acquired = await acquire(context, { flags, signal, guard });
    if ("exitCode" in acquired) return acquired.exitCode;
    const { lease, what, waitedMs } = acquired;
    await untilOver(principal, { lease, what, waitedMs, flags });
    if (!lease.lost!.aborted) lease.release();
    return SUCCESS;
  });
}

/** Holds a lease until the command is over. */
async function untilOver(
  principal: Principal,
  { lease, what, waitedMs, flags }: { lease: JobLease; what: string; waitedMs: number; flags: HoldingFlags },
): Promise<void> {
  const { token, graceMs = 0, lost } = lease;
  // No directory is in use for it.
  Deno.chdir("/");
  const { [FENCE_VARIABLE]: fence } = await lease.guard();
  await principal.say({ type: "held", lease: { token, fence: Number(fence), graceMs, what, waitedMs } });
  const tell = () => void principal.say({ type: "lost", message: (lost!.reason as Error).message });
  lost!.addEventListener("abort", tell, { once: true });
  if (lost!.aborted) tell();
  // A command that is stopped hears none: what it does not hear does not pile up.
  let saying: Promise<void> | undefined;
  const signs = setInterval(() => {
    saying ??= principal.say({ type: "alive" }).finally(() => saying = undefined);
  }, graceMs);
  try {
    await untilNobody(principal, { lease, flags });
  } finally {
    clearInterval(signs);
  }
}

/**
 * Waits until the command says that it is over, or it is gone and nothing that it ran lives. If what is held is lost, and the command does not hear of it
 * as it is stopped, or gone, what it ran is ended from here.
 */
async function untilNobody(
  principal: Principal,
  { lease, flags: { onLost, killAfter } }: { lease: JobLease; flags: HoldingFlags },
): Promise<void> {
  const { token, graceMs = 0, lost } = lease;
  const job: GuardedJob = { token };
  const end = async (limitMs: number) => {
    if (onLost === "kill") {
      await endProcesses(() => processesOf(job), { graceMs: Math.min(limitMs, killAfter) });
    }
  };
  using unheard = new Timer(graceMs / 2, () => void end(graceMs / 2));
  if (!lost!.aborted) {
    unheard.cancel();
    lost!.addEventListener("abort", () => unheard.restart(), { once: true });
  }
  for (;;) {
    const notice = await principal.next<Notice>();
    if (notice === undefined) break;
    if ("over" in notice) return;
    if ("heard" in notice) unheard.cancel();
    else {
      job.first = identityOf(notice.began);
      await lease.guards(notice.began);
    }
  }
  while (!lost!.aborted && jobLives(job)) await delay(LOOK_MS, { signal: lost! }).catch(() => {});
  unheard.cancel();
  if (lost!.aborted) await end(graceMs);
}
