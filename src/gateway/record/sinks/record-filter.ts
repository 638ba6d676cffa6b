import type { DecisionRecord } from '../decision-record.ts'

/** Lists of what a record may be; one that is not there allows everything. */
export interface RecordFilter {
  readonly decisions?: readonly string[] | undefined
  readonly codes?: readonly string[] | undefined
  readonly routes?: readonly string[] | undefined
}

type Judged = Pick<DecisionRecord, 'decision' | 'code' | 'route'>

/**
 * True for the records that a sink is to get.
 *
 * Who has got an allow also gets the record that takes it back: else a request that failed would pass for one that
 * went through.
 */
export const createFilter = (filter: RecordFilter): ((record: DecisionRecord) => boolean) => {
  const decisions = setOf(filter.decisions)
  const codes = setOf(filter.codes)
  const routes = setOf(filter.routes)
  const fits = ({ decision, code, route = '' }: Judged): boolean =>
    decisions?.has(decision) !== false && codes?.has(code) !== false && routes?.has(route) !== false
  return (record) =>
    fits(record) || (record.follows !== undefined && fits({ ...record, decision: 'allow', code: 'allowed' }))
}

const setOf = (values: readonly string[] | undefined): ReadonlySet<string> | null =>
  values === undefined ? null : new Set(values)
