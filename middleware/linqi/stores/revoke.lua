-- Revokes sessions of one subject: the one of KEYS[2], or all of the sorted set KEYS[1].
-- ARGV: the prefix of hashes, now, the cause, the session to spare. Answers the ids that there are,
-- revoked just now or before.
local names
if KEYS[2] then
  names = {string.sub(KEYS[2], #ARGV[1] + 1)}
else
  names = redis.call('ZRANGE', KEYS[1], 0, -1)
end
local found = {}
for _, name in ipairs(names) do
  local key = ARGV[1] .. name
  local revoked_at = redis.call('HGET', key, 'revoked_at')
  if revoked_at and name ~= ARGV[4] then
    if tonumber(revoked_at) == 0 then
      redis.call('HSET', key, 'revoked_at', ARGV[2], 'cause', ARGV[3])
    end
    found[#found + 1] = name
  end
end
return found
