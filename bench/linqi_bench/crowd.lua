-- One request after another, each with the next token of a file that has one a line.
-- wrk -s crowd.lua URL -- FILE
local requests, count, turn = {}, 0, 0

function init(arguments)
  local headers = {["Accept"] = "application/json", ["User-Agent"] = "linqi-bench"}
  for token in io.lines(arguments[1]) do
    headers["Authorization"] = "Bearer " .. token
    count = count + 1
    requests[count] = wrk.format("GET", "/orders/17", headers)
  end
end

function request()
  turn = turn % count + 1
  return requests[turn]
end
