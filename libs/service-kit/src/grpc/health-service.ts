import { status, type sendUnaryData, type Server, type ServerUnaryCall, type ServerWritableStream } from '@grpc/grpc-js';
import { service } from 'grpc-health-check';
import type { Health } from '../health.js';

type Asked = { readonly service: string };
type Told = { readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN' };

/** How soon who watches is told of a change. */
const WATCH_MS = 1_000;

/**
 * grpc.health.v1: every service here is as ready as the process. What is checked is checked when somebody asks, as `/readyz` does it;
 * statuses that are set from outside would be as old as the last time somebody set them.
 */
export class HealthService {
  readonly #health: Health;
  readonly #names: ReadonlySet<string>;
  readonly #watches = new Map<ServerWritableStream<Asked, Told>, NodeJS.Timeout>();

  constructor(health: Health, names: Iterable<string>) {
    this.#health = health;
    this.#names = new Set(['', ...names]);
  }

  addTo(server: Server): void {
    server.addService(service, {
      check: async ({ request }: ServerUnaryCall<Asked, Told>, callback: sendUnaryData<Told>) => {
        if (this.#names.has(request.service)) callback(null, await this.#told());
        else callback({ code: status.NOT_FOUND, details: `There is no service ${request.service} here.` });
      },
      list: async (_call: unknown, callback: sendUnaryData<{ statuses: Record<string, Told> }>) => {
        const told = await this.#told();
        callback(null, { statuses: Object.fromEntries([...this.#names].map((name) => [name, told])) });
      },
      watch: (call: ServerWritableStream<Asked, Told>) => this.#watch(call),
    });
  }

  /** Ends what would keep the server from closing. */
  close(): void {
    for (const [call, timer] of this.#watches) {
      clearInterval(timer);
      call.write({ status: 'NOT_SERVING' });
      call.end();
    }
    this.#watches.clear();
  }

  #watch(call: ServerWritableStream<Asked, Told>): void {
    let last: Told['status'] | undefined;
    const tell = async (): Promise<void> => {
      const { status } = this.#names.has(call.request.service) ? await this.#told() : ({ status: 'SERVICE_UNKNOWN' } as const);
      if (status === last || !this.#watches.has(call)) return;
      last = status;
      call.write({ status });
    };
    this.#watches.set(call, setInterval(() => void tell(), WATCH_MS));
    call.on('cancelled', () => {
      clearInterval(this.#watches.get(call));
      this.#watches.delete(call);
    });
    void tell();
  }

  async #told(): Promise<Told> {
    const { status } = await this.#health.readiness();
    return { status: status === 'ready' ? 'SERVING' : 'NOT_SERVING' };
  }
}
