import { type AdminFront, type AdminFrontOptions, startAdminFront } from '../../admin/front/admin-front.ts'

/** The admin ports that workers have asked for: one, or two while an edit moves it. */
export interface AdminDesk {
  /** Opens it for the first worker that asks. Rejects when that is not possible. */
  readonly open: (bind: string, worker: number) => Promise<string>
  readonly close: (bind: string, worker: number) => void
  /** A worker has ended; its ports stay open for the one that takes its place. */
  readonly workersChanged: () => void
  readonly address: () => string | null
  readonly closeAll: () => Promise<void>
}

interface OpenFront {
  readonly front: Promise<AdminFront>
  readonly users: Set<number>
  address: string | null
}

export const createAdminDesk = (options: (bind: string) => AdminFrontOptions): AdminDesk => {
  const fronts = new Map<string, OpenFront>()

  const shut = async (bind: string): Promise<void> => {
    const open = fronts.get(bind)
    fronts.delete(bind)
    await (await open?.front)?.close()
  }

  return {
    open: async (bind, worker) => {
      const open = fronts.get(bind) ?? {
        front: startAdminFront(bind, options(bind)),
        users: new Set<number>(),
        address: null,
      }
      fronts.set(bind, open)
      open.users.add(worker)
      try {
        open.address = (await open.front).address()
        return open.address
      } catch (error) {
        if (fronts.get(bind) === open) fronts.delete(bind)
        throw error
      }
    },
    close: (bind, worker) => {
      const open = fronts.get(bind)
      open?.users.delete(worker)
      if (open?.users.size === 0) void shut(bind)
    },
    workersChanged: () => {
      for (const { front } of fronts.values()) {
        front.then(
          ({ workersChanged }) => workersChanged(),
          () => undefined,
        )
      }
    },
    address: () => [...fronts.values()].at(-1)?.address ?? null,
    closeAll: async () => {
      await Promise.all([...fronts.keys()].map(shut))
    },
  }
}
