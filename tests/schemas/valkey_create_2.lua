-- As the release before ran it, which read keys that it had not declared.
-- Stores a new session, and revokes the oldest of its subject beyond a number.
-- KEYS[1]: the session, as in present.lua; KEYS[2]: the subject's sorted set of session ids.
-- ARGV: the prefix of sessions, the session id, the most sessions, now, when the session expires
-- and when it ends, then the session. Returns the ids of those that it revoked.
local prefix, session_id, now, ends_at = ARGV[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[6])
local function milliseconds(seconds)
  return string.format('%.0f', tonumber(seconds) * 1000)
end
if redis.call('SET', KEYS[1], ARGV[7], 'NX', 'PXAT', milliseconds(ARGV[5])) then
  redis.call('ZADD', KEYS[2], ARGV[4], session_id)
end
if redis.call('PTTL', KEYS[2]) < (ends_at - now) * 1000 then
  redis.call('PEXPIREAT', KEYS[2], milliseconds(ends_at))
end
local live = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local row = redis.call('GET', prefix .. name)
  if not row then
    redis.call('ZREM', KEYS[2], name)
  elseif string.match(row, '^%S+ %S+ %S+ %S+ %S+ (%S+)') == '0.0' then
    live[#live + 1] = {name, row}
  end
end
local over, surplus = {}, #live - tonumber(ARGV[3])
for _, found in ipairs(live) do
  if #over >= surplus then
    break
  end
  local name, row = found[1], found[2]
  if name ~= session_id then
    local head, rest = string.match(row, '^(%S+ %S+ %S+ %S+ %S+ )%S+ %S+ (.*)$')
    redis.call('SET', prefix .. name, head .. ARGV[4] .. ' limit ' .. rest, 'KEEPTTL')
    over[#over + 1] = name
  end
end
return over
