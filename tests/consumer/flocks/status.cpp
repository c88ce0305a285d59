// The headers are C++, too, and the library is called from it.
#include <iostream>
#include <memory>

#include <flocks/calls.h>
#include <flocks/v1/supervisor.client.h>
#include <flocks/v1/upgrade.client.h>

int main()
{
    flocks_client_options options{};
    options.socket = "/nowhere";
    options.is_running = [](void *) { return false; };
    std::unique_ptr<flocks_client, decltype(&flocks_client_free)> client(
        flocks_client_new(&options, nullptr), flocks_client_free);
    flocks_watch_events_request request = FLOCKS_WATCH_EVENTS_REQUEST_INIT;
    flocks_error *error = nullptr;
    flocks_stream *stream = flocks_client_watch_events(client.get(), nullptr, &request, &error);
    std::cout << error->message << '\n';
    bool is_good = stream == nullptr && error->is_not_running;
    flocks_error_free(error);
    return is_good ? 0 : 1;
}
