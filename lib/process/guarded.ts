/**
 * The processes of a job that something is held for: each carries the name of the lease in its environment, whoever its parent is.
 *
 * @module
 */

import type { Identity } from "../named.ts";
import { lives, type Target, targetOf } from "./descendants.ts";
import { livesAs } from "./identity.ts";
import { listProcesses, readEnvironment } from "./proc.ts";

/** The variable that names, in every process of a job, the leases that guard it; separated by colons. */
export const LEASE_VARIABLE = "CONC_LEASE";

/** A job: the token of the lease that guards it, and the process that it began with, if that is known. */
export interface GuardedJob {
  token: string;
  first?: Pick<Identity, "pid" | "started"> | undefined;
}

/** What a job has in its environment, so that the lease of this name is held as long as it lives; and those around it as before. */
export function guardVariables(
  token: string,
  env: { get(name: string): string | undefined } = Deno.env,
): Record<string, string> {
  const outer = env.get(LEASE_VARIABLE);
  return { [LEASE_VARIABLE]: outer ? `${outer}:${token}` : token };
}

/** Whether a process of a job lives: the one that it began with, or any that carries the lease's name. */
export function jobLives({ token, first }: GuardedJob): boolean {
  if (first !== undefined && livesAs(first)) return true;
  return listProcesses().some((entry) => lives(entry) && carries(entry.pid, token));
}

/** The living processes of a job. Where nobody can tell who carries what, only the first. */
export function processesOf({ token, first }: GuardedJob): Target[] {
  const living = first !== undefined && livesAs(first) ? first.pid : undefined;
  if (Deno.build.os !== "linux") {
    if (living === undefined) return [];
    return [{ key: String(living), pid: living, pgid: living, stopped: false, killId: living }];
  }
  return listProcesses().filter((entry) =>
    lives(entry) && (entry.pid === living || carries(entry.pid, token))
  ).map(targetOf);
}

function carries(pid: number, token: string): boolean {
  const prefix = `${LEASE_VARIABLE}=`;
  const value = readEnvironment(pid).find((variable) => variable.startsWith(prefix));
  return value !== undefined && value.slice(prefix.length).split(":").includes(token);
}
