"""An environment behind HTTP and WebSocket: sessions apart from the wire, and questions asked in whole batches.

`sessions` keeps who is playing, `episodes` asks and scores by the task alone, `together` makes batches of what comes at once,
`service` joins the three, and `app` puts them on the wire. Only `app` needs starlette; `ssl4rl serve` runs it by uvicorn.
"""
