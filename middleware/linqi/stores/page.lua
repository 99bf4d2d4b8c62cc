-- Reads the stream KEYS[1] after an entry, and proves that nothing before it was missed, in one step.
-- ARGV: the id of the entry, its text, how many entries at most. The text is empty where none was
-- read before.
-- Returns how many entries there are, the id and the text of the last one, and all as a JSON array:
-- a driver without a C parser needs 22 us for each element of a reply. Returns nothing if the stream
-- does not hold the entry: a server that was restored, or a failover, may have given other entries
-- lower ids.
if ARGV[2] ~= '' then
  local known = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
  if not known or known[2][2] ~= ARGV[2] then
    return {}
  end
end
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[3])
local id, texts = ARGV[1], {}
for place, entry in ipairs(entries) do
  id, texts[place] = entry[1], entry[2][2]
end
return {#entries, id, texts[#texts] or ARGV[2], '[' .. table.concat(texts, ',') .. ']'}
