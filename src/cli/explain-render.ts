import { displayPath } from '../config/format-finding.ts'
import type { ConsideredRoute, Explanation } from '../gateway/explain.ts'
import type { PastExplanation } from '../gateway/explain-record.ts'

type Row = readonly [label: string, text: string | null]

/** An explanation for people: one line a fact, the policies below. */
export const renderExplanation = (explanation: Explanation | PastExplanation): string => {
  const rows = [...requestRows(explanation), ...mappingRows(explanation), ...decisionRows(explanation)]
  return rows.map(([label, text]) => `${label.padEnd(11)}${text ?? '-'}\n`).join('')
}

const requestRows = (explanation: Explanation | PastExplanation): readonly Row[] => {
  const { request, leftOut, route, owner, considered, credential, subject } = explanation
  const others = considered.filter(({ why }) => why !== 'chosen')
  return [
    ...('recorded' in explanation ? pastRows(explanation) : []),
    ['request', `${request.method} ${request.host}${request.path} from ${request.ip}`],
    ...leftOut.map(
      ({ header, peer }): Row => [
        'left out',
        `${header}: no proxy at ${peer} is listed to say so; --ip names the proxy that it would come from`,
      ],
    ),
    ['route', route === null ? null : `${route} (owner ${owner})`],
    ...others.map((other): Row => ['', `not ${other.route}: ${WHY[other.why]}`]),
    ['credential', credential === null ? null : JSON.stringify(credential)],
    ['subject', subject === null ? null : JSON.stringify(subject)],
  ]
}

const pastRows = ({ recorded }: PastExplanation): readonly Row[] => [
  ['decided', `${recorded.time}, ${recorded.id}`],
  [
    'by',
    recorded.isCurrentConfig
      ? 'the configuration that is explained by'
      : `another configuration (${recorded.configVersion})${recorded.isCurrentPolicy ? ', the same policies' : ', other policies: their text is not told'}`,
  ],
]

const WHY: Readonly<Record<ConsideredRoute['why'], string>> = {
  chosen: 'it was chosen',
  method: 'another method',
  conditions: 'its conditions on headers or query do not fit',
  fewer_conditions: 'it fits, but has fewer conditions than the chosen one',
  less_specific: 'a more specific path was chosen first',
  ambiguous: 'what its conditions read is ambiguous in this request',
}

const mappingRows = ({
  inputs,
  expressions,
  accessRequest,
}: Explanation | PastExplanation): readonly Row[] => [
  ['read', inputs === null ? null : JSON.stringify(inputs)],
  ...expressions.map(({ at, expression, value, secret }): Row => {
    const shown = secret === true ? '(a secret)' : value === undefined ? '(left out)' : JSON.stringify(value)
    return ['', `${at}: ${expression} = ${shown}`]
  }),
  ['asked', accessRequest === null ? null : JSON.stringify(accessRequest)],
]

const decisionRows = (explanation: Explanation | PastExplanation): readonly Row[] => {
  const { engine, policyVersion, decision, code, source, reasons, errors, detail } = explanation
  const { policies, near, grant, upstream, caller } = explanation
  return [
    ['engine', engine === null ? null : `${engine} ${policyVersion ?? ''}`],
    ['decision', `${decision} (${code}) by ${source}`],
    ['reasons', reasons.length === 0 ? null : reasons.join(', ')],
    ...policies.map((policy): Row => ['', `${placeOf(policy)}: ${oneLine(policy.text)}`]),
    ...near.map(
      (policy): Row => [
        'missing',
        `${policy.id} would allow it, were it not for ${policy.unmet.join(' and ') || 'what its conditions say together'} (${placeOf(policy)})`,
      ],
    ),
    ['errors', errors.length === 0 ? null : errors.join('; ')],
    ['because', detail],
    ['grant', grant === null ? null : (grant.id ?? `not kept: ${grant.why}`)],
    ['upstream', upstream === null ? null : `${upstream.name} ${upstream.target}`],
    [
      'caller',
      caller.status === null
        ? null
        : `sees ${caller.status} ${caller.code}: ${caller.detail ?? caller.title}`,
    ],
  ]
}

const placeOf = ({ file, line }: { readonly file: string; readonly line: number }): string =>
  `${displayPath(file, process.cwd())}:${line}`

const oneLine = (text: string): string => text.replace(/\s+/g, ' ')
