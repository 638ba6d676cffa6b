import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { collectReferences } from './cedar-entities.ts'

// Operators that only compare: an entity written as their operand is never looked into.
const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', 'contains', 'containsAll', 'containsAny'])

/**
 * The entities whose attributes, tags or parents an evaluation may need because the policy's text names them.
 *
 * The scope names entities only to compare with them. May tell more than are needed, never fewer.
 */
export const namedEntities = ({ conditions }: PolicyJson, into: Set<string>): void => visit(conditions, into)

const visit = (expression: unknown, into: Set<string>): void => {
  if (typeof expression !== 'object' || expression === null) return
  for (const [operator, operands] of Object.entries(expression)) {
    if (operator === 'Value') collectReferences(operands, into)
    else if (COMPARISONS.has(operator)) visitUnlessLiteral(operands, ['left', 'right'], into)
    else if (operator === 'in') visitUnlessLiteral(operands, ['right'], into)
    else visit(operands, into)
  }
}

const visitUnlessLiteral = (operands: unknown, compared: readonly string[], into: Set<string>): void => {
  if (typeof operands !== 'object' || operands === null) return
  for (const [side, operand] of Object.entries(operands)) {
    if (!compared.includes(side) || !isLiteral(operand)) visit(operand, into)
  }
}

const isLiteral = (expression: unknown): boolean => {
  if (typeof expression !== 'object' || expression === null) return false
  if ('Value' in expression) return true
  return 'Set' in expression && Array.isArray(expression.Set) && expression.Set.every(isLiteral)
}
