/**
 * A store of its own, and commands that hold what is in it until they are let go.
 *
 * @module
 */

import {
  conc,
  eventually,
  exists,
  inDirectory,
  lives,
  records,
  type Result,
  type Running,
  start,
} from "./conc.ts";

/** A directory with a store in it, and how conc is called there. */
export interface Place {
  directory: string;
  run(args: readonly string[]): Promise<Result>;
  /** Starts conc; it is killed when the test has ended, if it still runs. */
  start(args: readonly string[]): Running;
  /** Starts a command that holds something, and waits until it does; its process id is in the file. */
  hold(args: readonly string[], file: string): Promise<Running>;
  /** Lets all who hold go. */
  go(): Promise<void>;
  read(file: string): Promise<string>;
}

/** Runs a test body in a directory of its own with a store of its own. */
export async function withStore(body: (place: Place) => Promise<void>): Promise<void> {
  await inDirectory(async (directory) => {
    const options = { cwd: directory, env: { CONC_STORE: `${directory}/conc.db` } };
    const started: Running[] = [];
    const place: Place = {
      directory,
      run: (args) => conc(args, options),
      start(args) {
        const running = start(args, options);
        started.push(running);
        return running;
      },
      async hold(args, file) {
        const wait = `echo $$ > ${file}.new; mv ${file}.new ${file}; while [ ! -e go ]; do sleep 0.02; done`;
        const running = place.start([...args, "sh", "-c", wait]);
        await eventually(`${file} is held`, () => exists(`${directory}/${file}`));
        return running;
      },
      go: () => Deno.writeTextFile(`${directory}/go`, ""),
      read: async (file) => (await Deno.readTextFile(`${directory}/${file}`)).trim(),
    };
    try {
      await body(place);
    } finally {
      await place.go();
      for (const running of started) {
        try {
          running.kill("SIGTERM");
        } catch {
          // It has ended.
        }
        await running.result();
      }
    }
  });
}

/** What is waited for. */
type Waited = readonly ["lock" | "sem", string];

/** How many wait, as `conc lock status` or `conc sem status` says it. */
export async function waiting({ run }: Place, [kind, name]: Waited): Promise<number> {
  return records((await run([kind, "status", name, "--json"])).stdout).at(-1)!.waiting as number;
}

/** The process of the command that the longest holder guards, once it is known. */
export async function jobOf({ run }: Place, [kind, name]: Waited): Promise<number> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const [holder] = records((await run([kind, "status", name, "--json"])).stdout);
    if (typeof holder!.jobPid === "number") return holder!.jobPid;
    if (performance.now() > deadline) throw new Error(`nobody ever held ${name} for a command`);
  }
}

/** Waits until so many wait. */
export async function untilWaiting(place: Place, waited: Waited, count: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (await waiting(place, waited) !== count) {
    if (performance.now() > deadline) throw new Error(`${count} never waited for ${waited[1]}`);
  }
}

/** Kills a conc, and waits until it is gone; what it started lives on and may hold its pipes. */
export async function killHard(running: Running): Promise<void> {
  running.kill("SIGKILL");
  await eventually("conc is gone", () => !lives(running.pid));
}
