/**
 * Workers for the tests between threads.
 *
 * @module
 */

import type { Task } from "./contender.ts";

/** A Worker that does one task at a time. */
export class Contender implements Disposable {
  readonly #worker = new Worker(import.meta.resolve("./contender.ts"), { type: "module" });

  /** Has it do a task. */
  do<T>(task: Task): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data: { value, error } }) =>
        error === undefined ? resolve(value) : reject(new Error(error));
      this.#worker.postMessage(task);
    });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
