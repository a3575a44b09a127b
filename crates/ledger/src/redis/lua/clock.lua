-- The store's clock: one for the whole fleet.
local time = redis.call('TIME')
local now_micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_millis = math.floor(now_micros / 1000)

