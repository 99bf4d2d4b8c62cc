-- Redeemed refresh tokens in schema 2, when the clock of the worker judged.
-- Applies linqi.sessions.refresh.decide_rotation to one session, in one step.
-- KEYS[1]: the session, "counter parent rotated_at expires_at ends_at revoked_at cause
-- first_rotated_at rest", where rest is a JSON array. A row of schema 1 lacks first_rotated_at;
-- rotated_at takes its place, so such a row can be recovered for longer, once.
-- ARGV[1]: "counter now grace recover_seconds idle" of what is presented.
-- Returns the kind of the outcome, a space, then the session after it.
local row = redis.call('GET', KEYS[1])
if not row then
  return 'unknown '
end
local counter, parent, rotated_at, expires_at, ends_at, revoked_at, cause, rest =
  string.match(row, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (.*)$')
local first_rotated_at, tail = string.match(rest, '^(%d%S*) (.*)$')
if not first_rotated_at then
  first_rotated_at, tail = rotated_at, rest
end
local presented, now_text, grace_text, recover_text, idle =
  string.match(ARGV[1], '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
local now, grace, recover_seconds = tonumber(now_text), tonumber(grace_text), tonumber(recover_text)
local age, kind = now - tonumber(first_rotated_at), 'reused'
if revoked_at ~= '0.0' then
  kind = 'revoked'
elseif now >= tonumber(expires_at) or now >= tonumber(ends_at) then
  kind = 'expired'
elseif presented == counter then
  kind = 'rotated'
elseif presented == parent and age <= math.max(grace, recover_seconds) then
  if now - tonumber(rotated_at) <= grace then
    kind = 'replayed'
  elseif age <= recover_seconds then
    kind = 'recovered'
  end
end
if kind == 'rotated' or kind == 'recovered' then
  local expiry = math.min(math.floor(now + tonumber(idle)), tonumber(ends_at))
  -- Instants stay text where possible: as numbers they would lose their last digits.
  if kind == 'rotated' then
    first_rotated_at = now_text
  end
  row = string.format('%d %s %s %.17g %s %s %s %s ', tonumber(counter) + 1, presented, now_text,
    expiry, ends_at, revoked_at, cause, first_rotated_at) .. tail
  redis.call('SET', KEYS[1], row, 'PXAT', string.format('%.0f', expiry * 1000))
elseif kind == 'reused' then
  row = string.format('%s %s %s %s %s %s reuse ', counter, parent, rotated_at, expires_at, ends_at,
    now_text) .. rest
  redis.call('SET', KEYS[1], row, 'KEEPTTL')
end
return kind .. ' ' .. row
