// exercise SOCKET: every case against grpc_test_server, by grpc-go; a line for each, "ok NAME" or "FAIL NAME why". The
// same cases stand in ../python and ../node.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"

	mirrorpb "flocks/testing/v1"
	testpb "grpc/testing"
)

const (
	largest = 4 << 20
	// Of tags and lengths around a payload that fills the largest message.
	envelope = 10
	patience = 30 * time.Second
	unicode  = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
)

// One connection.
type world struct {
	path       string
	connection *grpc.ClientConn
	test       testpb.TestServiceClient
	mirror     mirrorpb.MirrorServiceClient
}

func connect(path, target string, options ...grpc.DialOption) *world {
	options = append(options, grpc.WithInsecure())
	connection, err := grpc.Dial(target, options...)
	must(err)
	return &world{path, connection, testpb.NewTestServiceClient(connection), mirrorpb.NewMirrorServiceClient(connection)}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(got, wanted interface{}) {
	if !reflect.DeepEqual(got, wanted) {
		panic(fmt.Sprintf("got %.300v, wanted %.300v", got, wanted))
	}
}

func within(patience time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// A context that lives as long as the program may.
func soon() context.Context {
	ctx, _ := within(patience) //nolint
	return ctx
}

func fails(code codes.Code, err error) *grpcstatus.Status {
	if err == nil {
		panic("no " + code.String())
	}
	answer, _ := grpcstatus.FromError(err)
	if answer.Code() != code {
		panic(fmt.Sprintf("wanted %v: %v", code, err))
	}
	return answer
}

func (w *world) observe(untilEnded uint64) *mirrorpb.ObserveResponse {
	response, err := w.mirror.Observe(soon(), &mirrorpb.ObserveRequest{UntilEnded: untilEnded})
	must(err)
	return response
}

// One more call than before has ended: the server's counts then.
func (w *world) ended(before *mirrorpb.ObserveResponse) *mirrorpb.ObserveResponse {
	after := w.observe(before.Ended + 1)
	equal(after.Ended, before.Ended+1)
	equal(after.Begun, after.Ended)
	return after
}

func payload(size int) *testpb.Payload {
	return &testpb.Payload{Body: make([]byte, size)}
}

func sized(sizes ...int32) []*testpb.ResponseParameters {
	var all []*testpb.ResponseParameters
	for _, size := range sizes {
		all = append(all, &testpb.ResponseParameters{Size: size})
	}
	return all
}

func repeated(size int32, times int) []int32 {
	sizes := make([]int32, times)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

type responses interface {
	Recv() (*testpb.StreamingOutputCallResponse, error)
}

// The sizes of all responses to the end.
func collect(stream responses) ([]int32, error) {
	var sizes []int32
	for {
		response, err := stream.Recv()
		if err == io.EOF {
			return sizes, nil
		}
		if err != nil {
			return sizes, err
		}
		sizes = append(sizes, int32(len(response.Payload.Body)))
	}
}

func one(stream responses) int {
	response, err := stream.Recv()
	must(err)
	return len(response.Payload.Body)
}

type pair struct{ key, value string }

func allBytes() string {
	var all bytes.Buffer
	for i := 0; i < 256; i++ {
		all.WriteByte(byte(i))
	}
	return all.String()
}

var many = []pair{
	{"x-text", "one"},
	{"x-bytes-bin", allBytes()},
	{"x-text", "two, and a comma"},
	{"x-bytes-bin", ""},
	{"x-bytes-bin", "a"},
	{"x-other", "~ !\"#$%&'()*+,-./:;<=>?@[]^_`{|}"},
}

func valuesOf(key string) []string {
	var values []string
	for _, pair := range many {
		if pair.key == key {
			values = append(values, pair.value)
		}
	}
	return values
}

func mirrored(prefix string) []*mirrorpb.Pair {
	var all []*mirrorpb.Pair
	for _, pair := range many {
		all = append(all, &mirrorpb.Pair{Key: prefix + pair.key, Value: []byte(pair.value)})
	}
	return all
}

func checkBack(got metadata.MD, prefix string) {
	for _, key := range []string{"x-text", "x-bytes-bin", "x-other"} {
		equal(got.Get(prefix+key), valuesOf(key))
	}
}

// ---- four kinds ----

func emptyUnary(w *world) {
	_, err := w.test.EmptyCall(soon(), &testpb.Empty{})
	must(err)
}

func largeUnary(w *world) {
	request := &testpb.SimpleRequest{ResponseSize: 314159, Payload: payload(271828)}
	response, err := w.test.UnaryCall(soon(), request)
	must(err)
	equal(response.Payload.Body, make([]byte, 314159))
}

func cacheableUnary(w *world) {
	var header metadata.MD
	response, err := w.test.CacheableUnaryCall(soon(), &testpb.SimpleRequest{}, grpc.Header(&header))
	must(err)
	_, err = strconv.ParseInt(string(response.Payload.Body), 10, 64)
	must(err)
	equal(header.Get("cache-control"), []string{"max-age=60, public"})
}

func clientStreaming(w *world) {
	stream, err := w.test.StreamingInputCall(soon())
	must(err)
	for _, size := range []int{27182, 8, 1828, 45904} {
		must(stream.Send(&testpb.StreamingInputCallRequest{Payload: payload(size)}))
	}
	response, err := stream.CloseAndRecv()
	must(err)
	equal(response.AggregatedPayloadSize, int32(74922))
}

func download(w *world, sizes []int32) {
	request := &testpb.StreamingOutputCallRequest{ResponseParameters: sized(sizes...)}
	stream, err := w.test.StreamingOutputCall(soon(), request)
	must(err)
	got, err := collect(stream)
	must(err)
	equal(got, sizes)
}

func serverStreaming(w *world)     { download(w, []int32{31415, 9, 2653, 58979}) }
func serverStreamingMany(w *world) { download(w, repeated(10, 20000)) }

func pingPong(w *world) {
	stream, err := w.test.FullDuplexCall(soon())
	must(err)
	for _, size := range [][2]int{{27182, 31415}, {8, 9}, {1828, 2653}, {45904, 58979}} {
		parameters := sized(int32(size[1]))
		request := &testpb.StreamingOutputCallRequest{ResponseParameters: parameters, Payload: payload(size[0])}
		must(stream.Send(request))
		equal(one(stream), size[1])
	}
	must(stream.CloseSend())
	_, err = stream.Recv()
	equal(err, io.EOF)
}

func halfDuplex(w *world) {
	stream, err := w.test.HalfDuplexCall(soon())
	must(err)
	for _, size := range []int32{10, 20, 30, 40} {
		must(stream.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: sized(size)}))
	}
	must(stream.CloseSend())
	got, err := collect(stream)
	must(err)
	equal(got, []int32{10, 20, 30, 40})
}

func manyRequestsAhead(w *world) {
	stream, err := w.test.FullDuplexCall(soon())
	must(err)
	for i := 0; i < 3000; i++ {
		must(stream.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: sized(10)}))
	}
	must(stream.CloseSend())
	got, err := collect(stream)
	must(err)
	equal(got, repeated(10, 3000))
}

func emptyStream(w *world) {
	stream, err := w.test.FullDuplexCall(soon())
	must(err)
	must(stream.CloseSend())
	_, err = stream.Recv()
	equal(err, io.EOF)
}

func emptyUpload(w *world) {
	stream, err := w.test.StreamingInputCall(soon())
	must(err)
	response, err := stream.CloseAndRecv()
	must(err)
	equal(response.AggregatedPayloadSize, int32(0))
}

// ---- deadlines and cancellation: the server's work ends, too ----

func deadlineOfUnary(w *world) {
	before := w.observe(0)
	ctx, cancel := within(200 * time.Millisecond)
	defer cancel()
	_, err := w.mirror.Mirror(ctx, &mirrorpb.MirrorRequest{DelayMs: 600000})
	fails(codes.DeadlineExceeded, err)
	after := w.ended(before)
	equal(after.Cancelled+after.Expired, before.Cancelled+before.Expired+1)
}

func deadlineOfStream(w *world) {
	before := w.observe(0)
	ctx, cancel := within(200 * time.Millisecond)
	defer cancel()
	parameters := []*testpb.ResponseParameters{{Size: 1, IntervalUs: 600000000}}
	stream, err := w.test.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{ResponseParameters: parameters})
	must(err)
	_, err = stream.Recv()
	fails(codes.DeadlineExceeded, err)
	after := w.ended(before)
	equal(after.Cancelled+after.Expired, before.Cancelled+before.Expired+1)
}

func deadlineReachesTheServer(w *world) {
	response, err := w.mirror.Mirror(soon(), &mirrorpb.MirrorRequest{})
	must(err)
	equal(response.TimeLeftMs > 0 && response.TimeLeftMs <= patience.Milliseconds(), true)
}

func noDeadline(w *world) {
	response, err := w.mirror.Mirror(context.Background(), &mirrorpb.MirrorRequest{})
	must(err)
	equal(response.TimeLeftMs, int64(-1))
}

func cancelUnary(w *world) {
	before := w.observe(0)
	ctx, cancel := within(patience)
	done := make(chan error)
	go func() {
		_, err := w.mirror.Mirror(ctx, &mirrorpb.MirrorRequest{DelayMs: 600000})
		done <- err
	}()
	for w.observe(0).Begun == before.Begun {
	}
	cancel()
	fails(codes.Canceled, <-done)
	equal(w.ended(before).Cancelled, before.Cancelled+1)
}

func cancelBeforeTheFirstMessage(w *world) {
	before := w.observe(0)
	ctx, cancel := within(patience)
	stream, err := w.test.StreamingInputCall(ctx)
	must(err)
	// The server has begun the call.
	_, err = stream.Header()
	must(err)
	cancel()
	// Not CloseAndRecv: the end that it sends may overtake the cancellation.
	fails(codes.Canceled, stream.RecvMsg(&testpb.StreamingInputCallResponse{}))
	equal(w.ended(before).Cancelled, before.Cancelled+1)
}

func cancelAfterTheFirstMessage(w *world) {
	before := w.observe(0)
	ctx, cancel := within(patience)
	stream, err := w.test.FullDuplexCall(ctx)
	must(err)
	request := &testpb.StreamingOutputCallRequest{ResponseParameters: sized(31415), Payload: payload(27182)}
	must(stream.Send(request))
	equal(one(stream), 31415)
	cancel()
	_, err = stream.Recv()
	fails(codes.Canceled, err)
	equal(w.ended(before).Cancelled, before.Cancelled+1)
}

func cancelAStreamThatFlows(w *world) {
	before := w.observe(0)
	ctx, cancel := within(patience)
	request := &testpb.StreamingOutputCallRequest{ResponseParameters: sized(repeated(60000, 20000)...)}
	stream, err := w.test.StreamingOutputCall(ctx, request)
	must(err)
	equal(one(stream), 60000)
	cancel()
	equal(w.ended(before).Cancelled, before.Cancelled+1)
}

// ---- metadata ----

func echoedMetadata(w *world) {
	const initial, trailing = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
	check := func(header, trailer metadata.MD) {
		equal(header.Get(initial), []string{"test_initial_metadata_value"})
		equal(trailer.Get(trailing), []string{"\xab\xab\xab"})
	}
	ctx := metadata.AppendToOutgoingContext(soon(), initial, "test_initial_metadata_value", trailing, "\xab\xab\xab")
	var header, trailer metadata.MD
	request := &testpb.SimpleRequest{ResponseSize: 314159, Payload: payload(271828)}
	_, err := w.test.UnaryCall(ctx, request, grpc.Header(&header), grpc.Trailer(&trailer))
	must(err)
	check(header, trailer)
	stream, err := w.test.FullDuplexCall(ctx)
	must(err)
	parameters := sized(314159)
	must(stream.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: parameters, Payload: payload(271828)}))
	must(stream.CloseSend())
	_, err = collect(stream)
	must(err)
	header, err = stream.Header()
	must(err)
	check(header, stream.Trailer())
}

func metadataReachesTheServer(w *world) {
	ctx := soon()
	for _, pair := range many {
		ctx = metadata.AppendToOutgoingContext(ctx, pair.key, pair.value)
	}
	response, err := w.mirror.Mirror(ctx, &mirrorpb.MirrorRequest{})
	must(err)
	for _, key := range []string{"x-text", "x-bytes-bin", "x-other"} {
		var got []string
		for _, pair := range response.Metadata {
			if pair.Key == key {
				got = append(got, string(pair.Value))
			}
		}
		equal(got, valuesOf(key))
	}
}

func metadataComesBack(w *world) {
	var header, trailer metadata.MD
	request := &mirrorpb.MirrorRequest{Headers: mirrored("h-"), Trailers: mirrored("t-")}
	_, err := w.mirror.Mirror(soon(), request, grpc.Header(&header), grpc.Trailer(&trailer))
	must(err)
	checkBack(header, "h-")
	checkBack(trailer, "t-")
}

func metadataComesBackWithAnError(w *world) {
	var trailer metadata.MD
	failure := &mirrorpb.Failure{Code: 9, Message: "no"}
	request := &mirrorpb.MirrorRequest{Trailers: mirrored("t-"), Failure: failure}
	_, err := w.mirror.Mirror(soon(), request, grpc.Trailer(&trailer))
	fails(codes.FailedPrecondition, err)
	checkBack(trailer, "t-")
}

func tooMuchMetadata(w *world) {
	ctx := soon()
	for i := 0; i < 9; i++ {
		ctx = metadata.AppendToOutgoingContext(ctx, fmt.Sprintf("x-much-%d", i), strings.Repeat("y", 1000))
	}
	_, err := w.mirror.Mirror(ctx, &mirrorpb.MirrorRequest{})
	fails(codes.ResourceExhausted, err)
}

// ---- sizes and numbers ----

func largestMessages(w *world) {
	const size = largest - envelope
	_, err := w.test.UnaryCall(soon(), &testpb.SimpleRequest{Payload: payload(size)})
	must(err)
	response, err := w.test.UnaryCall(soon(), &testpb.SimpleRequest{ResponseSize: size})
	must(err)
	equal(len(response.Payload.Body), size)
}

func tooLargeRequest(w *world) {
	_, err := w.test.UnaryCall(soon(), &testpb.SimpleRequest{Payload: payload(largest - envelope + 1)})
	fails(codes.ResourceExhausted, err)
	stream, err := w.test.StreamingInputCall(soon())
	must(err)
	// Whether the end is seen here or below is a matter of time.
	if err = stream.Send(&testpb.StreamingInputCallRequest{Payload: payload(2 * largest)}); err != io.EOF {
		must(err)
	}
	_, err = stream.CloseAndRecv()
	fails(codes.ResourceExhausted, err)
	emptyUnary(w)
}

func tooLargeResponse(w *world) {
	_, err := w.test.UnaryCall(soon(), &testpb.SimpleRequest{ResponseSize: largest - envelope + 1})
	fails(codes.ResourceExhausted, err)
	request := &testpb.StreamingOutputCallRequest{ResponseParameters: sized(5, 2*largest)}
	stream, err := w.test.StreamingOutputCall(soon(), request)
	must(err)
	equal(one(stream), 5)
	_, err = stream.Recv()
	fails(codes.ResourceExhausted, err)
}

// All at once; the first error.
func parallel(times int, run func(i int) error) {
	done := make(chan error)
	for i := 0; i < times; i++ {
		go func(i int) { done <- run(i) }(i)
	}
	for i := 0; i < times; i++ {
		must(<-done)
	}
}

func parallelCallsOnOneConnection(w *world) {
	connections := w.observe(0).Connections
	parallel(1000, func(i int) error {
		response, err := w.test.UnaryCall(soon(), &testpb.SimpleRequest{ResponseSize: int32(i)})
		if err == nil && len(response.Payload.Body) != i {
			err = errors.New("the answer is another's")
		}
		return err
	})
	equal(w.observe(0).Connections, connections)
}

func parallelStreamsOnOneConnection(w *world) {
	parallel(50, func(int) error {
		request := &testpb.StreamingOutputCallRequest{ResponseParameters: sized(repeated(50000, 20)...)}
		stream, err := w.test.StreamingOutputCall(soon(), request)
		if err != nil {
			return err
		}
		got, err := collect(stream)
		if err == nil && !reflect.DeepEqual(got, repeated(50000, 20)) {
			err = errors.New("not what was asked for")
		}
		return err
	})
}

// ---- statuses ----

func unimplementedMethod(w *world) {
	_, err := w.test.UnimplementedCall(soon(), &testpb.Empty{})
	answer := fails(codes.Unimplemented, err)
	equal(strings.Contains(answer.Message(), "UnimplementedCall"), true)
}

func unknownMethod(w *world) {
	err := w.connection.Invoke(soon(), "/grpc.testing.TestService/NoSuchCall", &testpb.Empty{}, &testpb.Empty{})
	fails(codes.Unimplemented, err)
}

func unimplementedService(w *world) {
	_, err := testpb.NewUnimplementedServiceClient(w.connection).UnimplementedCall(soon(), &testpb.Empty{})
	fails(codes.Unimplemented, err)
}

func everyStatus(w *world) {
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		wanted := &testpb.EchoStatus{Code: int32(code), Message: fmt.Sprintf("status %d", code)}
		_, err := w.test.UnaryCall(soon(), &testpb.SimpleRequest{ResponseStatus: wanted})
		equal(fails(code, err).Message(), wanted.Message)
		stream, err := w.test.FullDuplexCall(soon())
		must(err)
		must(stream.Send(&testpb.StreamingOutputCallRequest{ResponseStatus: wanted}))
		_, err = stream.Recv()
		equal(fails(code, err).Message(), wanted.Message)
	}
}

func statusAfterResponses(w *world) {
	stream, err := w.test.FullDuplexCall(soon())
	must(err)
	must(stream.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: sized(7)}))
	equal(one(stream), 7)
	wanted := &testpb.EchoStatus{Code: 10, Message: "enough"}
	must(stream.Send(&testpb.StreamingOutputCallRequest{ResponseStatus: wanted}))
	_, err = stream.Recv()
	equal(fails(codes.Aborted, err).Message(), "enough")
}

func unicodeInAStatus(w *world) {
	wanted := &testpb.EchoStatus{Code: 2, Message: unicode}
	_, err := w.test.UnaryCall(soon(), &testpb.SimpleRequest{ResponseStatus: wanted})
	equal(fails(codes.Unknown, err).Message(), unicode)
}

func statusDetails(w *world) {
	failure := &mirrorpb.Failure{Code: 5, Message: "100% nothing ☺", Detail: "what was missing"}
	_, err := w.mirror.Mirror(soon(), &mirrorpb.MirrorRequest{Failure: failure})
	answer := fails(codes.NotFound, err)
	equal(answer.Message(), failure.Message)
	var proto *status.Status = answer.Proto()
	equal(proto.Details[0].TypeUrl, "type.googleapis.com/flocks.testing.v1.FailureDetail")
	equal(answer.Details()[0].(*mirrorpb.FailureDetail).Text, "what was missing")
}

// ---- :authority, as clients send it on unix sockets ----

func authority(w *world, value string) {
	other := connect(w.path, "unix:"+w.path, grpc.WithAuthority(value))
	defer other.connection.Close()
	emptyUnary(other)
}

func authorityLocalhost(w *world)   { authority(w, "localhost") }
func authorityPath(w *world)        { authority(w, w.path) }
func authorityAnotherHost(w *world) { authority(w, "elsewhere.example:443") }
func authorityPercentEncodedPath(w *world) {
	authority(w, strings.ReplaceAll(w.path, "/", "%2F"))
}

// As kubelet and CSI do it: this grpc-go makes the path the authority.
func authorityOfADialer(w *world) {
	dial := func(ctx context.Context, address string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", address)
	}
	other := connect(w.path, w.path, grpc.WithContextDialer(dial))
	defer other.connection.Close()
	emptyUnary(other)
}

// ---- at the end ----

func nothingIsLeft(w *world) {
	now := w.observe(0)
	equal(now.Begun, now.Ended)
}

var cases = []struct {
	name string
	run  func(*world)
}{
	{"empty_unary", emptyUnary},
	{"large_unary", largeUnary},
	{"cacheable_unary", cacheableUnary},
	{"client_streaming", clientStreaming},
	{"server_streaming", serverStreaming},
	{"server_streaming_many", serverStreamingMany},
	{"ping_pong", pingPong},
	{"half_duplex", halfDuplex},
	{"many_requests_ahead", manyRequestsAhead},
	{"empty_stream", emptyStream},
	{"empty_upload", emptyUpload},
	{"deadline_of_unary", deadlineOfUnary},
	{"deadline_of_stream", deadlineOfStream},
	{"deadline_reaches_the_server", deadlineReachesTheServer},
	{"no_deadline", noDeadline},
	{"cancel_unary", cancelUnary},
	{"cancel_before_the_first_message", cancelBeforeTheFirstMessage},
	{"cancel_after_the_first_message", cancelAfterTheFirstMessage},
	{"cancel_a_stream_that_flows", cancelAStreamThatFlows},
	{"echoed_metadata", echoedMetadata},
	{"metadata_reaches_the_server", metadataReachesTheServer},
	{"metadata_comes_back", metadataComesBack},
	{"metadata_comes_back_with_an_error", metadataComesBackWithAnError},
	{"too_much_metadata", tooMuchMetadata},
	{"largest_messages", largestMessages},
	{"too_large_request", tooLargeRequest},
	{"too_large_response", tooLargeResponse},
	{"parallel_calls_on_one_connection", parallelCallsOnOneConnection},
	{"parallel_streams_on_one_connection", parallelStreamsOnOneConnection},
	{"unimplemented_method", unimplementedMethod},
	{"unknown_method", unknownMethod},
	{"unimplemented_service", unimplementedService},
	{"every_status", everyStatus},
	{"status_after_responses", statusAfterResponses},
	{"unicode_in_a_status", unicodeInAStatus},
	{"status_details", statusDetails},
	{"authority_localhost", authorityLocalhost},
	{"authority_percent_encoded_path", authorityPercentEncodedPath},
	{"authority_path", authorityPath},
	{"authority_of_another_host", authorityAnotherHost},
	{"authority_of_a_dialer", authorityOfADialer},
	{"nothing_is_left", nothingIsLeft},
}

// Each case is judged by itself.
func judge(name string, run func(*world), w *world) {
	defer func() {
		if why := recover(); why != nil {
			fmt.Printf("FAIL %s %s\n", name, strings.ReplaceAll(fmt.Sprint(why), "\n", " "))
		}
	}()
	run(w)
	fmt.Printf("ok %s\n", name)
}

func main() {
	w := connect(os.Args[1], "unix:"+os.Args[1])
	for _, one := range cases {
		judge(one.name, one.run, w)
	}
	w.connection.Close()
}
