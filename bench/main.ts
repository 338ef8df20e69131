/**
 * `deno task bench [NAME…]`: runs benches beside their peers on this machine, all of them or those that are named.
 *
 * Benches assert nothing about time: they print figures, and beside them the targets of the contract.
 *
 * @module
 */

/** What a bench module exports. */
interface Bench {
  /** Runs the bench and prints what it measured. */
  default(): Promise<void>;
}

const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  startup: () => import("./startup.ts"),
  pool: () => import("./pool.ts"),
  spawn: () => import("./spawn.ts"),
  queue: () => import("./queue.ts"),
  task: () => import("./task.ts"),
  thread: () => import("./thread.ts"),
  host: () => import("./host.ts"),
  net: () => import("./net.ts"),
  cluster: () => import("./cluster.ts"),
};

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(argv: readonly string[]): Promise<number> {
  const known = Object.keys(BENCHES);
  const unknown = argv.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    console.error(`bench: there is no bench '${unknown}': deno task bench [${known.join("|")}]…`);
    return 2;
  }
  try {
    for (const name of argv.length > 0 ? argv : known) {
      const load = Deno.loadavg()[0]!.toFixed(1);
      console.log(`\n== ${name}: load ${load} on ${navigator.hardwareConcurrency} processors before it`);
      const bench = await BENCHES[name]!();
      await bench.default();
    }
    return 0;
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
}
