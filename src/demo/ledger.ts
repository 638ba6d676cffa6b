export interface Account {
  readonly id: string
  readonly owner: string
  readonly balanceCents: number
}

export interface Transfer {
  readonly id: string
  readonly from: string
  readonly to: string
  readonly amountCents: number
  /** Whoever the front door said it was. */
  readonly orderedBy: string
}

export interface Ledger {
  readonly account: (id: string) => Account | null
  readonly accountsOf: (owner: string) => readonly Account[]
  /** Moves money; null when an account is unknown, the amount is not positive, or the money is not there. */
  readonly transfer: (order: Omit<Transfer, 'id'>) => Transfer | null
}

const OPENING: readonly Account[] = [
  { id: '1001', owner: 'alice', balanceCents: 523_410 },
  { id: '1002', owner: 'alice', balanceCents: 1_840_000 },
  { id: '2001', owner: 'bob', balanceCents: 96_255 },
  { id: '2002', owner: 'bob', balanceCents: 310_000 },
]

/** The accounts of the demo's bank, in memory. */
export const createLedger = (): Ledger => {
  const accounts = new Map(OPENING.map((account) => [account.id, account]))
  let transfers = 0
  return {
    account: (id) => accounts.get(id) ?? null,
    accountsOf: (owner) => [...accounts.values()].filter((account) => account.owner === owner),
    transfer: (order) => {
      const from = accounts.get(order.from)
      const to = accounts.get(order.to)
      const isSound =
        Number.isSafeInteger(order.amountCents) && order.amountCents > 0 && order.from !== order.to
      if (from === undefined || to === undefined || !isSound || from.balanceCents < order.amountCents)
        return null
      accounts.set(from.id, { ...from, balanceCents: from.balanceCents - order.amountCents })
      accounts.set(to.id, { ...to, balanceCents: to.balanceCents + order.amountCents })
      transfers += 1
      return { id: `T${String(transfers).padStart(6, '0')}`, ...order }
    },
  }
}

/** The CSV lines of a month, made as they are read; the same ones every time. */
export function* statementLines(account: Account, month: string): Generator<string> {
  yield 'date,booking,amount_cents\n'
  const seed = Number(account.id)
  for (let line = 0; line < 20_000; line += 1) {
    const day = String((line % 28) + 1).padStart(2, '0')
    const amount = ((seed * 7919 + line * 104_729) % 20_000) - 10_000
    yield `${month}-${day},booking ${line + 1},${amount}\n`
  }
}
