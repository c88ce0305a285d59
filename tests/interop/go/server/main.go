// A server of SupervisorService as somebody writes it in Go, for our C clients: what it answers is made up.
// server SOCKET: prints "ready" and serves until its input ends.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	v1 "flocks/v1"

	"github.com/containerd/ttrpc"
	"github.com/gogo/protobuf/proto"
	"github.com/gogo/protobuf/types"
	"github.com/golang/protobuf/ptypes/any"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const services = 500

// Methods that are not below are not called: there is nothing behind the embedded interface.
type server struct {
	v1.SupervisorServiceService
}

func failed(code codes.Code, message string, detail *v1.ErrorDetail) error {
	value, err := proto.Marshal(detail)
	if err != nil {
		panic(err)
	}
	return status.ErrorProto(&spb.Status{Code: int32(code), Message: message, Details: []*any.Any{
		{TypeUrl: "type.googleapis.com/flocks.v1.ErrorDetail", Value: value}}})
}

func service(number int, padding string) *v1.ServiceStatus {
	return &v1.ServiceStatus{
		Name:       fmt.Sprintf("made-up-%03d", number),
		State:      v1.ServiceState(number%11 + 1),
		Pid:        int32(10000 + number),
		Generation: uint32(number),
		LastError:  padding,
		LogPath:    fmt.Sprintf("/somewhere/logs/made-up-%03d.log", number),
		Since:      &types.Timestamp{Seconds: int64(1700000000 + number)},
	}
}

func (s *server) GetStatus(ctx context.Context, request *v1.GetStatusRequest) (*v1.GetStatusResponse, error) {
	answer := &v1.GetStatusResponse{Daemon: &v1.DaemonStatus{Pid: 4711, Version: "9.8.7"}}
	if values, ok := ttrpc.GetMetadata(ctx); ok {
		if list, ok := values.Get("note"); ok {
			answer.EventToken = strings.Join(list, "+")
		}
	}
	if len(request.Services) == 0 {
		for i := 0; i < services; i++ {
			answer.Services = append(answer.Services, service(i, ""))
		}
		return answer, nil
	}
	switch name := request.Services[0]; name {
	case "empty":
		return &v1.GetStatusResponse{}, nil
	case "huge":
		for i := 0; i < 20000; i++ {
			answer.Services = append(answer.Services, service(i, strings.Repeat("x", 255)))
		}
	case "slow":
		select {
		case <-ctx.Done():
			return nil, failed(codes.DeadlineExceeded, "the Go server was told the deadline",
				&v1.ErrorDetail{OperationId: "0123456789abcdef0123456789abcdef"})
		case <-time.After(time.Minute):
		}
	case "deaf":
		time.Sleep(2 * time.Second)
	default:
		var number int
		if _, err := fmt.Sscanf(name, "made-up-%d", &number); err != nil {
			return nil, failed(codes.NotFound, "no such service: "+name, &v1.ErrorDetail{
				Reason: v1.ErrorReason_ERROR_REASON_UNKNOWN_SERVICE, Service: name, Hint: "made-up-000 is one"})
		}
		// Answers overtake each other.
		time.Sleep(time.Duration(number*37%11) * time.Millisecond)
		answer.Services = append(answer.Services, service(number, ""))
	}
	return answer, nil
}

func operation(kind v1.OperationKind, names []string) *v1.Operation {
	made := &v1.Operation{Id: "0123456789abcdef0123456789abcdef", Kind: kind,
		State: v1.OperationState_OPERATION_STATE_SUCCEEDED}
	for i := 0; len(names) == 0 && i < services; i++ {
		made.Outcomes = append(made.Outcomes, &v1.ServiceOutcome{Service: fmt.Sprintf("made-up-%03d", i),
			State: v1.OperationState_OPERATION_STATE_FAILED, FromGeneration: uint32(i), ToGeneration: uint32(i)})
	}
	for i, name := range names {
		made.Outcomes = append(made.Outcomes, &v1.ServiceOutcome{Service: name,
			State: v1.OperationState_OPERATION_STATE_SUCCEEDED, FromGeneration: uint32(i), ToGeneration: uint32(i + 1)})
	}
	return made
}

func (s *server) RestartServices(ctx context.Context, request *v1.RestartServicesRequest) (*v1.RestartServicesResponse, error) {
	return &v1.RestartServicesResponse{Operation: operation(v1.OperationKind_OPERATION_KIND_RESTART, request.Services)}, nil
}

func (s *server) StopServices(ctx context.Context, request *v1.StopServicesRequest) (*v1.StopServicesResponse, error) {
	return &v1.StopServicesResponse{Operation: operation(v1.OperationKind_OPERATION_KIND_STOP, request.Services)}, nil
}

func main() {
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		panic(err)
	}
	ours, err := ttrpc.NewServer()
	if err != nil {
		panic(err)
	}
	v1.RegisterSupervisorServiceService(ours, &server{})
	go ours.Serve(context.Background(), listener)
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}
