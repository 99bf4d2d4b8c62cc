-- As the release before ran it, which read keys that it had not declared.
-- Revokes sessions of one subject: the one of KEYS[2], or all of the sorted set KEYS[1].
-- ARGV: the prefix of sessions, now, the cause, the session to keep. Returns the ids of
-- the existing ones, those revoked before included.
local names
if KEYS[2] then
  names = {string.sub(KEYS[2], #ARGV[1] + 1)}
else
  names = redis.call('ZRANGE', KEYS[1], 0, -1)
end
local found = {}
for _, name in ipairs(names) do
  local key = ARGV[1] .. name
  local row = redis.call('GET', key)
  if row and name ~= ARGV[4] then
    local head, revoked_at, rest = string.match(row, '^(%S+ %S+ %S+ %S+ %S+ )(%S+) %S+ (.*)$')
    if revoked_at == '0.0' then
      redis.call('SET', key, head .. ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. rest, 'KEEPTTL')
    end
    found[#found + 1] = name
  end
end
return found
