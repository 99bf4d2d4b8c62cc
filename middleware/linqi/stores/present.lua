-- Applies linqi.sessions.refresh.judge to one session, in one step.
-- KEYS[1]: the session, "counter parent rotated_at expires_at ends_at revoked_at cause rest".
-- ARGV[1]: "counter now grace recovers idle" of what is presented; recovers is 1 or 0.
-- Answers the kind of the outcome, a space, then the session as it is after it.
local row = redis.call('GET', KEYS[1])
if not row then
  return 'unknown '
end
local counter, parent, rotated_at, expires_at, ends_at, revoked_at, cause, rest =
  string.match(row, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (.*)$')
local presented, now_text, grace, recovers, idle =
  string.match(ARGV[1], '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
local now, kind = tonumber(now_text), 'reused'
if revoked_at ~= '0.0' then
  kind = 'revoked'
elseif now >= tonumber(expires_at) or now >= tonumber(ends_at) then
  kind = 'expired'
elseif presented == counter then
  kind = 'rotated'
elseif presented == parent then
  if now - tonumber(rotated_at) <= tonumber(grace) then
    kind = 'replayed'
  elseif recovers == '1' then
    kind = 'recovered'
  end
end
if kind == 'rotated' or kind == 'recovered' then
  local expiry = math.min(math.floor(now + tonumber(idle)), tonumber(ends_at))
  -- Instants stay text where they can: a number would lose its last digits on the way.
  row = string.format('%d %s %s %.17g %s %s %s ', tonumber(counter) + 1, presented, now_text,
    expiry, ends_at, revoked_at, cause) .. rest
  redis.call('SET', KEYS[1], row, 'PXAT', string.format('%.0f', expiry * 1000))
elseif kind == 'reused' then
  row = string.format('%s %s %s %s %s %s reuse ', counter, parent, rotated_at, expires_at, ends_at,
    now_text) .. rest
  redis.call('SET', KEYS[1], row, 'KEEPTTL')
end
return kind .. ' ' .. row
