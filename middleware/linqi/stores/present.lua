-- Applies linqi.sessions.refresh.judge to one session, in one step.
-- KEYS[1]: the session's hash. ARGV: counter presented, now, grace, whether it recovers (1 or 0),
-- idle seconds. Answers the kind of the outcome, then the fields of the hash after it.
local row = redis.call('HGETALL', KEYS[1])
if #row == 0 then
  return {'unknown'}
end
local at = {}
for i = 1, #row, 2 do
  at[row[i]] = row[i + 1]
end
local presented, now = tonumber(ARGV[1]), tonumber(ARGV[2])
local counter, ends_at = tonumber(at.counter), tonumber(at.ends_at)
local kind
if tonumber(at.revoked_at) ~= 0 then
  kind = 'revoked'
elseif now >= tonumber(at.expires_at) or now >= ends_at then
  kind = 'expired'
elseif presented == counter then
  kind = 'rotated'
elseif presented == tonumber(at.parent) then
  if now - tonumber(at.rotated_at) <= tonumber(ARGV[3]) then
    kind = 'replayed'
  elseif ARGV[4] == '1' then
    kind = 'recovered'
  else
    kind = 'reused'
  end
else
  kind = 'reused'
end
if kind == 'rotated' or kind == 'recovered' then
  local expires_at = math.min(math.floor(now + tonumber(ARGV[5])), ends_at)
  -- ARGV[2] and not now: a number would lose its last digits on the way to text.
  redis.call('HSET', KEYS[1], 'counter', counter + 1, 'parent', presented,
    'rotated_at', ARGV[2], 'expires_at', string.format('%.17g', expires_at))
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', expires_at * 1000))
elseif kind == 'reused' then
  redis.call('HSET', KEYS[1], 'revoked_at', ARGV[2], 'cause', 'reuse')
end
return {kind, unpack(redis.call('HGETALL', KEYS[1]))}
