// Draws the life of an access token: what is left of it, and from when on it is near expiry.

const ROUND = 2 * Math.PI * 52
const element = (id) => document.getElementById(id)

export function drawRing({ left, life, advisory, verdict }) {
  const share = life > 0 ? Math.min(1, left / life) : 0
  const near = life > 0 ? Math.min(1, advisory / life) : 0
  // Both arcs end at the top, where the token expires; what is left runs back from there.
  arc(element('buffer'), Math.min(share, near))
  arc(element('rest'), share)
  const angle = -2 * Math.PI * near
  const point = (radius) => `${60 + radius * Math.sin(angle)} ${60 - radius * Math.cos(angle)}`
  element('mark').setAttribute('d', near > 0 ? `M${point(44)}L${point(60)}` : '')
  const state = verdict === 'fresh' ? 'fresh' : left > 0 ? 'near' : 'expired'
  element('clock').dataset.state = state
  element('left').textContent = seconds(left)
  element('state').textContent = state === 'near' ? 'near expiry' : state
  element('buffer-text').textContent = `the last ${seconds(advisory)}`
}

export function seconds(value) {
  if (value >= 172_800) return `${Math.floor(value / 86_400)} days`
  if (value >= 5400) return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`
  return value >= 100 ? `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s` : `${value.toFixed(value < 10 ? 1 : 0)} s`
}

function arc(circle, share) {
  circle.setAttribute('stroke-dasharray', `${share * ROUND} ${ROUND}`)
  circle.setAttribute('transform', `rotate(${-90 - share * 360} 60 60)`)
}
