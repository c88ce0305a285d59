// A tour of flocks over gRPC: tour SERVICE.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	flocks "flocks/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

//go:generate mkdir -p gopath/src
//go:generate protoc -I../../../proto --go_out=gopath/src --go-grpc_out=gopath/src flocks/v1/types.proto flocks/v1/options.proto flocks/v1/config.proto flocks/v1/supervisor.proto

// Of every call, and of every stream from its first to its last message.
const (
	callTime   = 10 * time.Second
	streamTime = time.Minute
	logLines   = 5
)

type tour struct {
	flocks  flocks.SupervisorServiceClient
	service string
	// As it was before the restart.
	generation uint32
	token      string
}

// The socket of $FLOCKS_SOCKET, or of $FLOCKS_ROOT, which is ~/.flocks by default.
func socketPath() string {
	if path := os.Getenv("FLOCKS_SOCKET"); path != "" {
		return path
	}
	root := os.Getenv("FLOCKS_ROOT")
	if root == "" {
		root = filepath.Join(os.Getenv("HOME"), ".flocks")
	}
	return filepath.Join(root, "run", "flocksd.sock")
}

// "SERVICE_STATE_HEALTHY" without its type.
func short(prefix string, value fmt.Stringer) string {
	return strings.TrimPrefix(value.String(), prefix)
}

func state(of *flocks.ServiceStatus) string {
	return short("SERVICE_STATE_", of.State)
}

func (t *tour) status(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	answer, err := t.flocks.GetStatus(ctx, &flocks.GetStatusRequest{})
	if err != nil {
		return err
	}
	for _, service := range answer.Services {
		fmt.Printf("status: %s %s, generation %d\n", service.Name, state(service), service.Generation)
		if service.Name == t.service {
			t.generation = service.Generation
		}
	}
	t.token = answer.EventToken
	return nil
}

// Begins, then watches: the work is the daemon's and would go on without us.
func (t *tour) restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, streamTime)
	defer cancel()
	begun, err := t.flocks.RestartServices(ctx, &flocks.RestartServicesRequest{Services: []string{t.service}})
	if err != nil {
		return err
	}
	changes, err := t.flocks.WatchOperation(ctx, &flocks.WatchOperationRequest{OperationId: begun.Operation.Id})
	if err != nil {
		return err
	}
	for {
		change, err := changes.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		operation := change.Operation
		fmt.Printf("restart: %s, %d of %d\n", short("OPERATION_STATE_", operation.State), operation.StepsDone,
			operation.StepsTotal)
		if operation.EndedAt != nil {
			for _, one := range operation.Outcomes {
				fmt.Printf("restart: %s generation %d -> %d\n", one.Service, one.FromGeneration, one.ToGeneration)
			}
		}
	}
}

func (t *tour) followLog(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, streamTime)
	defer cancel()
	pieces, err := t.flocks.ReadLogs(ctx, &flocks.ReadLogsRequest{Services: []string{t.service},
		Start: &flocks.ReadLogsRequest_Tail{Tail: 2}, Follow: true})
	if err != nil {
		return err
	}
	for n := 0; n < logLines; {
		piece, err := pieces.Recv()
		if err != nil {
			return err
		}
		// A piece holds whole lines.
		for _, line := range bytes.Split(bytes.TrimSuffix(piece.Data, []byte("\n")), []byte("\n")) {
			if n < logLines {
				fmt.Printf("log: %s\n", line)
				n++
			}
		}
	}
	return nil
}

// Everything since the status, until the service is healthy in another generation.
func (t *tour) watchEvents(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, streamTime)
	defer cancel()
	items, err := t.flocks.WatchEvents(ctx, &flocks.WatchEventsRequest{After: t.token, Services: []string{t.service}})
	if err != nil {
		return err
	}
	for {
		item, err := items.Recv()
		if err != nil {
			return err
		}
		now := item.GetEvent().GetService().GetStatus()
		if now == nil {
			continue
		}
		fmt.Printf("event: %s %s, generation %d\n", now.Name, state(now), now.Generation)
		if now.State == flocks.ServiceState_SERVICE_STATE_HEALTHY && now.Generation > t.generation {
			return nil
		}
	}
}

func (t *tour) explain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	why, err := t.flocks.ExplainService(ctx, &flocks.ExplainServiceRequest{Service: t.service})
	if err != nil {
		return err
	}
	fmt.Printf("explain: %s %s, %s\n", t.service, state(why.Status), short("STATE_REASON_", why.Status.Reason))
	if len(why.Exits) > 0 {
		switch last := why.Exits[0]; outcome := last.Outcome.(type) {
		case *flocks.ExitRecord_Signal:
			fmt.Printf("explain: generation %d ended by %s\n", last.Generation, outcome.Signal)
		case *flocks.ExitRecord_ExitCode:
			fmt.Printf("explain: generation %d ended with %d\n", last.Generation, outcome.ExitCode)
		}
	}
	return nil
}

// What a failure brings: a code, a text, and a typed detail.
func (t *tour) mistake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	_, err := t.flocks.RestartServices(ctx, &flocks.RestartServicesRequest{Services: []string{"nobody"}})
	told, ok := status.FromError(err)
	if err == nil || !ok {
		return fmt.Errorf("not the failure of a call: %v", err)
	}
	fmt.Printf("mistake: code %d, %s\n", told.Code(), told.Message())
	for _, any := range told.Details() {
		if detail, ok := any.(*flocks.ErrorDetail); ok {
			fmt.Printf("mistake: %s, %s: %s\n", short("ERROR_REASON_", detail.Reason), detail.Service, detail.Hint)
		}
	}
	return nil
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("tour: ")
	if len(os.Args) != 2 {
		log.Fatal("usage: tour SERVICE")
	}
	connection, err := grpc.Dial("unix:"+socketPath(), grpc.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	t := tour{flocks: flocks.NewSupervisorServiceClient(connection), service: os.Args[1]}
	for _, step := range []func(context.Context) error{t.status, t.restart, t.followLog, t.watchEvents, t.explain,
		t.mistake} {
		if err := step(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
}
