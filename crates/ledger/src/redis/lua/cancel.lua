-- Withdraws the waiting rows of some buckets, and those that would wait later. ARGV: now.
-- Answers the cancelled ones, each as its place (bucket of this call × 100 + field) and its bytes.
local now = offset(ARGV[1])
if not cancelled then redis.call('HSET', KEYS[1], 'cancelled', '1') end

local places = {}
for bucket = 2, #KEYS do
  local fields = redis.call('HKEYS', KEYS[bucket])
  if #fields > 0 then
    each(KEYS[bucket], fields, function(i, row)
      if row.state == QUEUED then move(row, CANCELLED, '', now) end
      local told = row.state == CANCELLED
      if told then places[#places + 1] = (bucket - 2) * 100 + tonumber(fields[i]) end
      return 'C', told
    end)
  end
end
local answer = finish()
answer[3] = table.concat(places, ' ')
return answer
