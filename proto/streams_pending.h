/* The engine's and the client's functions for streams, while they are being built: programs link
 * without them. Goes as soon as they are there. */
#pragma weak rpc_call_begin_stream
#pragma weak rpc_call_send_message
#pragma weak rpc_call_wake
#pragma weak rpc_client_open
#pragma weak rpc_client_begin
#pragma weak rpc_client_watch
#pragma weak rpc_stream_close
#pragma weak rpc_stream_finish
#pragma weak rpc_stream_half_close
#pragma weak rpc_stream_next
#pragma weak rpc_stream_send
