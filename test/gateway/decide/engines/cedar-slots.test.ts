import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Engine } from '../../../../src/gateway/decide/engines/engine.ts'
import { askOne, createCedar, question } from './cedar-world.ts'

const generation = (number: number, name = 'reloaded'): Engine =>
  createCedar(
    {
      '/p/a.cedar': `@id("g${number}") permit (principal, action, resource);`,
      // Each accepts its own action alone: an answer by another's schema shows too.
      '/p/s.cedarschema': `entity User; entity Account; action "read${number}" appliesTo { principal: User, resource: Account };`,
    },
    { schema: '/p/s.cedarschema' },
    name,
  )

const answerOf = (engine: Engine, number: number): string => {
  const { decision, reasons, errors } = askOne(engine, question({ action: { name: `read${number}` } }))
  return `${decision} ${reasons.join()}${errors.join()}`
}

const assertAnswers = (engines: readonly (readonly [number, Engine])[]): void => {
  for (const [number, engine] of engines) assert.equal(answerOf(engine, number), `allow g${number}`)
}

describe('Cedar engines of one name', () => {
  it('each answer by their own policies and schema while one replaces the other, twenty times', () => {
    let old = generation(0)
    for (let number = 1; number <= 20; number += 1) {
      const next = generation(number)
      assertAnswers([
        [number - 1, old],
        [number, next],
        [number - 1, old],
      ])
      old.close?.()
      assertAnswers([[number, next]])
      old = next
    }
  })

  it('each answer by their own policies when none is ever closed', () => {
    const all = Array.from({ length: 20 }, (_, number) => [number, generation(number)] as const)
    assertAnswers(all)
    assertAnswers([...all].reverse())
  })

  it('still answer by their own policies after they were closed', () => {
    const closed = generation(1)
    closed.close?.()
    const others = [2, 3].map((number) => [number, generation(number)] as const)
    assertAnswers([[1, closed], ...others, [1, closed]])
  })

  it('do not answer by what drafts beside them say', () => {
    const running = generation(1)
    for (let number = 2; number < 6; number += 1) {
      assertAnswers([[number, generation(number)]])
      assertAnswers([[1, running]])
    }
  })
})

describe('Cedar engines of two names', () => {
  it('do not meet', () => {
    const engines = ['one', 'two', 'three'].map((name, number) => [number, generation(number, name)] as const)
    assertAnswers(engines)
    assertAnswers([...engines].reverse())
  })
})
