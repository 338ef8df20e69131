/**
 * Lock demos at cluster reach: the actors are processes, and their locks are at a broker.
 *
 * @module
 */

import { ClusterLock } from "../cluster/lock.ts";
import { ClusterStore } from "../cluster/store.ts";
import { UsageError } from "../errors.ts";
import { PLAY } from "./host_actor.ts";
import { processStage } from "./host_stage.ts";
import type { Stage, StageOptions } from "./stage.ts";

/**
 * The stage. One play at a time is on at a broker: the others wait for it.
 *
 * @param broker The URL of the broker.
 */
export function clusterStage(broker: string): Stage {
  const stage = processStage({ broker });
  const alone = async <T>({ lock, signal }: StageOptions, play: () => Promise<T>): Promise<T> => {
    if (lock === "rlock") {
      throw new UsageError("there is no RLock at the cluster reach: --lock lock, or another --reach");
    }
    await using store = await ClusterStore.open(broker, { signal });
    const plays = await ClusterLock.open(store, PLAY);
    using _lease = await plays.acquire({ signal, command: "conc lock-demo" });
    return await play();
  };
  return {
    sellTickets: (plan, options) => alone(options, () => stage.sellTickets(plan, options)),
    deadlock: (options) => alone(options, () => stage.deadlock(options)),
    reentrant: (options) => alone(options, () => stage.reentrant(options)),
  };
}
