-- Reads the stream KEYS[1] after the id ARGV[1], ARGV[2] entries at most.
-- Returns their ids and texts in turn.
local found = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])) do
  found[#found + 1] = entry[1]
  found[#found + 1] = entry[2][2]
end
return found
