/**
 * `conc sem acquire` at a broker: a keeper takes permits and says all that there is to print; once that is printed it hears so, and stays. If it
 * does not, nobody knows the token: it gives back what it has. So there is no moment in which permits are held for a caller that is gone.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { Loan } from "../lib/named.ts";
import { livesAs } from "../lib/process/identity.ts";
import { Timer } from "../lib/time/timer.ts";
import type { Context } from "./context.ts";
import { SUCCESS } from "./exit_code.ts";
import { Keeper, Principal } from "./keeper.ts";
import { openReach } from "./reach.ts";
import { acquiredText, type AcquireFlags, acquirePermits, type HeldFor } from "./sem_lending.ts";

/** What a keeper is told first. */
type Order = { flags: AcquireFlags; heldFor: HeldFor };

/** From one look whether the owner lives to the next. */
const LOOK_MS = 200;

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
  const keeper = new Keeper(context, ["sem", "acquire", "--keeper", "--", name], order);
  let isKept = false;
  try {
    const word = await keeper.first(signal);
    if (word.type === "result") return word.exitCode;
    keeper.tell({ kept: true });
    isKept = true;
    return SUCCESS;
  } finally {
    if (isKept) keeper.hangUp();
    else await keeper.end();
  }
}

/** Is the keeper. */
export async function keep(context: Context, name: string): Promise<number> {
  const { principal, order: { flags, heldFor } } = await Principal.listen<Order>(context);
  return await principal.answer(async () => {
    const { gone: signal, context } = principal;
    await using reach = await openReach(context, flags, { signal });
    const acquired = await acquirePermits(context, {
      ...{ flags, name, reach, signal },
      lend: (semaphore, options) => semaphore.keep!({ ...options, ...heldFor }),
    });
    if ("exitCode" in acquired) return acquired.exitCode;
    const { lease: loan, waitedMs } = acquired;
    await context.stdout.write(acquiredText(flags, { name, token: loan.token, heldFor, waitedMs }));
    await principal.say({ type: "held" });
    if (await principal.next() !== undefined) await untilOver(loan, heldFor);
    await loan.end();
    return SUCCESS;
  });
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
  while (!over.signal.aborted && livesAs(heldFor.owner)) {
    await delay(LOOK_MS, { signal: over.signal }).catch(() => {});
  }
}
