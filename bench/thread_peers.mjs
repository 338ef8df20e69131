// The peers of ThreadPool on Node, for bench/thread.ts: `node thread_peers.mjs DIRECTORY PEER THREADS`. DIRECTORY has them in its
// node_modules. Each line of stdin is a job and a count, such as `empty 1000`; the answer is a line once the job was done so often.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";

const [directory, peer, threads] = process.argv.slice(2);
const size = Number(threads);
const tasks = fileURLToPath(new URL("./thread_tasks.mjs", import.meta.url));
const require = createRequire(`${directory}/`);

const OPEN = {
  async piscina() {
    const module = await load("piscina");
    const Piscina = module.Piscina ?? module.default.Piscina ?? module.default;
    const pool = new Piscina({ filename: tasks, minThreads: size, maxThreads: size });
    return (name, input) => pool.run(input, { name });
  },
  async tinypool() {
    const { default: Tinypool } = await load("tinypool");
    const pool = new Tinypool({ filename: tasks, minThreads: size, maxThreads: size });
    return (name, input) => pool.run(input, { name });
  },
  async workerpool() {
    const module = await load("workerpool");
    const { pool: open } = module.default ?? module;
    const script = fileURLToPath(new URL("./thread_workerpool.mjs", import.meta.url));
    const pool = open(script, {
      minWorkers: size,
      maxWorkers: size,
      workerType: "thread",
      workerThreadOpts: { argv: [require.resolve("workerpool")] },
    });
    return (name, input) => pool.exec(name, [input]);
  },
};

const run = await OPEN[peer]();
const bytes = new Uint8Array(2 ** 20);

for await (const line of createInterface({ input: process.stdin })) {
  const [job, count] = line.split(" ");
  await DO()[job](Number(count));
  console.log("done");
}
process.exit(0);

function DO() {
  const all = (name, input) => (count) => Promise.all(Array.from({ length: count }, () => run(name, input)));
  return {
    empty: all("empty", 1),
    spin: all("spin", 1),
    size: all("size", bytes),
    async latency(count) {
      for (let i = 0; i < count; i++) await run("empty", 1);
    },
  };
}

async function load(name) {
  return await import(pathToFileURL(resolveModule(name)).href);
}

function resolveModule(name) {
  try {
    return require.resolve(name);
  } catch {
    // It has no entry for require.
    const { exports } = require(`${directory}/node_modules/${name}/package.json`);
    const entry = exports["."]?.default ?? exports["."]?.import ?? exports["."];
    return `${directory}/node_modules/${name}/${typeof entry === "string" ? entry : entry.default}`;
  }
}
