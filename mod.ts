/**
 * conc, the library: the primitives of concurrent programming, each with one interface and one behaviour at every reach.
 *
 * - Interfaces, and which primitive to use when: `Lock`, `RLock`, `Semaphore`, `Event`, `Queue`.
 * - Task reach, one event loop: `TaskLock`, `TaskRLock`, `TaskSemaphore`, `TaskEvent`, `TaskQueue`, `TaskPool`, `gather`.
 * - Thread reach, the Workers of one process: `ThreadLock`, `ThreadRLock`, `ThreadSemaphore`, `ThreadEvent`, `ThreadQueue`. Each has a
 *   `handle` to post to another Worker, where `attach` makes the same primitive of it. `ThreadPool` runs a function in Workers.
 * - Host reach, the processes of one machine: `HostLock`, `HostRLock`, `HostSemaphore`, `HostEvent`, `HostQueue`, over a `Store`.
 * - Cluster reach, machines: `ClusterLock`, `ClusterSemaphore`, `ClusterEvent`, `ClusterQueue`, over a `ClusterStore`, which is a RabbitMQ broker.
 *   Its client is loaded when a store is opened.
 * - Time: `Timer` runs a function once, `every` ticks at an interval, `schedule` at the times of a `Cron` line, `waitUntilWall`
 *   waits for a moment, which `parseMoment` reads, and `deadline` limits how long work may take.
 * - Networks: `serveTcpEcho` and `serveUdpEcho` send back what their clients send, the latter on request as a bad network would; `TcpClient` and
 *   `UdpClient` ask an echo server, `benchTcp` and `benchUdp` measure one.
 * - Errors, each of which stands for one situation that a caller may want to handle apart.
 *
 * @example
 * ```ts
 * import { TaskSemaphore } from "@conc/conc";
 * import { assertEquals } from "@std/assert";
 *
 * const semaphore = new TaskSemaphore(5);
 * {
 *   using _permit = await semaphore.acquire({ timeoutMs: 1_000 });
 *   assertEquals(semaphore.statistics().available, 4);
 * }
 * assertEquals(semaphore.statistics().available, 5);
 * ```
 *
 * @module
 */

export { BrokerAddress } from "./lib/cluster/address.ts";
export type { ConnectOptions as BrokerConnectOptions } from "./lib/cluster/connection.ts";
export * from "./lib/cluster/event.ts";
export type { ClusterLease } from "./lib/cluster/lease.ts";
export type { ClusterLoan } from "./lib/cluster/loan.ts";
export * from "./lib/cluster/lock.ts";
export * from "./lib/cluster/queue.ts";
export * from "./lib/cluster/semaphore.ts";
export { ClusterStore, type ClusterStoreOptions } from "./lib/cluster/store.ts";
export * from "./lib/errors.ts";
export * from "./lib/host/event.ts";
export type { HostLease } from "./lib/host/leases.ts";
export * from "./lib/host/lock.ts";
export * from "./lib/host/queue.ts";
export * from "./lib/host/rlock.ts";
export * from "./lib/host/semaphore.ts";
export { type PatientWriteOptions, Store, type StoreOptions, type WriteOptions } from "./lib/host/store.ts";
export { defaultStorePath } from "./lib/host/store_file.ts";
export type * from "./lib/named.ts";
export type { Address, Endpoint } from "./lib/net/address.ts";
export * from "./lib/net/bench.ts";
export { type ConnectOptions, TcpClient, type TlsOptions } from "./lib/net/tcp_client.ts";
export {
  serveTcpEcho,
  type TcpEchoOptions,
  type TcpEchoServer,
  type TcpEchoStatistics,
  type TlsIdentity,
} from "./lib/net/tcp_echo.ts";
export type { Transform } from "./lib/net/transform.ts";
export { UdpClient, type UdpClientOptions, type UdpReply } from "./lib/net/udp_client.ts";
export {
  serveUdpEcho,
  type UdpBackend,
  type UdpEchoOptions,
  type UdpEchoServer,
  type UdpEchoStatistics,
  type UdpNotice,
} from "./lib/net/udp_echo.ts";
export type { FaultOptions } from "./lib/net/udp_echo/faults.ts";
export type * from "./lib/primitives.ts";
export * from "./lib/task/event.ts";
export * from "./lib/task/gather.ts";
export * from "./lib/task/lock.ts";
export * from "./lib/task/pool.ts";
export * from "./lib/task/queue.ts";
export * from "./lib/task/rlock.ts";
export * from "./lib/task/semaphore.ts";
export * from "./lib/thread/event.ts";
export type { Breakable, ThreadHandle } from "./lib/thread/handle.ts";
export * from "./lib/thread/lock.ts";
export * from "./lib/thread/pool.ts";
export * from "./lib/thread/queue.ts";
export * from "./lib/thread/rlock.ts";
export * from "./lib/thread/semaphore.ts";
export { threadId } from "./lib/thread/thread_id.ts";
export { parseMoment } from "./lib/time/at.ts";
export { type Clock, type ClockOptions, SYSTEM_CLOCK, waitUntil, waitUntilWall } from "./lib/time/clock.ts";
export { Cron, type CronOptions } from "./lib/time/cron.ts";
export { deadline, type DeadlineOptions } from "./lib/time/deadline.ts";
export type { DurationRange } from "./lib/time/duration.ts";
export { every, type EveryOptions, type Tick } from "./lib/time/every.ts";
export { schedule, type ScheduleOptions } from "./lib/time/schedule.ts";
export { Timer, type TimerOptions, type TimerState } from "./lib/time/timer.ts";
