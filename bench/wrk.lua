-- Sends requests as callers in turn, and reports the run as one line of JSON.
--
-- PORTCULLIS_BENCH_CALLERS names a file with one header line per caller; the
-- same line stands there again where a caller has no credential. The other
-- variables say what is asked for: METHOD, PATH, and how many bytes of BODY.

local requests, turn = {}, 0

function init()
  local body
  local size = tonumber(os.getenv("PORTCULLIS_BENCH_BODY"))
  if size > 0 then
    body = '{"note":"' .. string.rep("x", size - 11) .. '"}'
  end
  for line in io.lines(os.getenv("PORTCULLIS_BENCH_CALLERS")) do
    local name, value = line:match("^([^:]+): (.*)$")
    local header = { [name] = value }
    if body then
      header["Content-Type"] = "application/json"
    end
    requests[#requests + 1] = wrk.format(os.getenv("PORTCULLIS_BENCH_METHOD"), os.getenv("PORTCULLIS_BENCH_PATH"), header, body)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"refused":%d,"failed":%d,"p99":%d}\n',
    summary.requests, summary.duration, e.status,
    e.connect + e.read + e.write + e.timeout, latency:percentile(99.0)))
end
