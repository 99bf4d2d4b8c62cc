-- Revokes sessions of one subject.
-- KEYS: the sessions, as in present.lua; then the subject's index of create.lua, if its last key
-- is not a session. ARGV: how many sessions there are, now, the cause.
-- Returns 1 for each session that exists, revoked before or not, and 0 for each that does not.
-- All that exist are written, so that a WAIT behind the script concerns them.
local count, index = tonumber(ARGV[1]), KEYS[tonumber(ARGV[1]) + 1]
local time = redis.call('TIME')
local score = string.format('-%s.%06d', time[1], time[2])
local found = {}
for place = 1, count do
  local row = redis.call('GET', KEYS[place])
  found[place] = row and 1 or 0
  if row then
    local head, revoked_at, rest = string.match(row, '^(%S+ %S+ %S+ %S+ %S+ )(%S+) %S+ (.*)$')
    if revoked_at == '0.0' then
      row = head .. ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. rest
    end
    redis.call('SET', KEYS[place], row, 'KEEPTTL')
  end
  if index then
    local name = string.sub(KEYS[place], #index + 2)
    if row then
      redis.call('ZADD', index, 'XX', score, name)
    else
      redis.call('ZREM', index, name)
    end
  end
end
return found
