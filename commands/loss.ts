/**
 * What becomes of a command when what it runs under is lost: the broker, or the way to it, is gone.
 *
 * @module
 */

import type { FlagParametersForType } from "@stricli/core";
import type { JobLease } from "../lib/named.ts";
import { type Context, say } from "./context.ts";
import type { WrappedOptions } from "./wrapped.ts";

/** What becomes of it: it is ended, or goes on. */
export type LossFlags = { onLost: "kill" | "warn" };

/** The declarations of {@link LossFlags}. */
export const LOSS_FLAGS: FlagParametersForType<LossFlags, never> = {
  onLost: {
    kind: "enum",
    values: ["kill", "warn"],
    default: "kill",
    brief: "What to do with the command if the broker is lost",
  },
};

/** Why a command ended that was ended for this. */
export const LOST = "lost";

/** Watches a lease while a command runs under it, and tells people of its loss. */
export class LossWatch implements Disposable {
  readonly #lease: JobLease;
  readonly #kills: boolean;
  readonly #killAfterMs: number;
  readonly #tell: () => void;

  /** @param options `what`: what is held, for people; `killAfterMs`: the grace of the command, if there is so much time. */
  constructor(
    context: Context,
    { lease, what, flags: { onLost, killAfter } }: {
      lease: JobLease;
      what: string;
      flags: LossFlags & { killAfter: number };
    },
  ) {
    this.#lease = lease;
    this.#kills = onLost === "kill";
    this.#killAfterMs = killAfter;
    this.#tell = () => {
      const { message } = lease.lost!.reason as Error;
      const result = this.#kills ? "so the command is ended" : "and the command goes on";
      void say(context, `lost ${what}: ${message}: somebody else may have it from now on, ${result}`);
    };
    lease.lost?.addEventListener("abort", this.#tell, { once: true });
  }

  /** When the command is ended, and how soon it is killed then: before another can have what was lost, where only the way to it is gone. */
  get ending(): Pick<WrappedOptions, "ending"> {
    const { lost, graceMs = Infinity } = this.#lease;
    if (lost === undefined || !this.#kills) return {};
    return { ending: { signal: lost, cause: LOST, graceMs: Math.min(graceMs, this.#killAfterMs) } };
  }

  [Symbol.dispose](): void {
    this.#lease.lost?.removeEventListener("abort", this.#tell);
  }
}
