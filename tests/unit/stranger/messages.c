#include "messages.h"

#include <stdbool.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static uint8_t RAW[] = {0, 1, 0xff, 0};
static const ProtobufCBinaryData BYTES = {.len = sizeof RAW, .data = RAW};

static google_protobuf_timestamp at(int64_t seconds)
{
    google_protobuf_timestamp timestamp = GOOGLE_PROTOBUF_TIMESTAMP_INIT;
    timestamp.seconds = seconds;
    timestamp.nanos = 999999999;
    return timestamp;
}

static stranger_common_money money(int64_t units)
{
    stranger_common_money money = STRANGER_COMMON_MONEY_INIT;
    money.currency = STRANGER_COMMON_CURRENCY_LOWEST;
    money.units = units;
    money.nanos = -1;
    return money;
}

/* Nested four deep. */
static stranger_shop_v1_item_box *box(void)
{
    static stranger_shop_v1_item_box_side_colour colour =
        STRANGER_SHOP_V1_ITEM_BOX_SIDE_COLOUR_INIT;
    static stranger_shop_v1_item_box_side side = STRANGER_SHOP_V1_ITEM_BOX_SIDE_INIT;
    static stranger_shop_v1_item_box box = STRANGER_SHOP_V1_ITEM_BOX_INIT;
    static stranger_shop_v1_item_box_side *sides[] = {&side, &side};
    colour.name = STRANGER_SHOP_V1_ITEM_BOX_SIDE_COLOUR_NAME_BLUE;
    side.colour = &colour;
    box.n_sides = LENGTH(sides);
    box.sides = sides;
    return &box;
}

static void fill_maps(stranger_shop_v1_item *item)
{
    static stranger_shop_v1_item_labels_entry label = STRANGER_SHOP_V1_ITEM_LABELS_ENTRY_INIT;
    static stranger_shop_v1_item_labels_entry *labels[] = {&label};
    label.key = "colour";
    label.value = "r\xc3\xb6tlich";
    item->n_labels = LENGTH(labels);
    item->labels = labels;

    static stranger_common_money price;
    static stranger_shop_v1_item_prices_by_country_entry by_country =
        STRANGER_SHOP_V1_ITEM_PRICES_BY_COUNTRY_ENTRY_INIT;
    static stranger_shop_v1_item_prices_by_country_entry *prices[] = {&by_country};
    price = money(INT64_MIN);
    by_country.key = -49;
    by_country.value = &price;
    item->n_prices_by_country = LENGTH(prices);
    item->prices_by_country = prices;

    static stranger_shop_v1_item_currencies_entry currency =
        STRANGER_SHOP_V1_ITEM_CURRENCIES_ENTRY_INIT;
    static stranger_shop_v1_item_currencies_entry *currencies[] = {&currency};
    currency.key = "highest";
    currency.value = STRANGER_COMMON_CURRENCY_HIGHEST;
    item->n_currencies = LENGTH(currencies);
    item->currencies = currencies;

    static stranger_shop_v1_item_flags_entry flag = STRANGER_SHOP_V1_ITEM_FLAGS_ENTRY_INIT;
    static stranger_shop_v1_item_flags_entry *flags[] = {&flag};
    flag.key = true;
    flag.value = BYTES;
    item->n_flags = LENGTH(flags);
    item->flags = flags;

    static stranger_shop_v1_item_sides_entry side = STRANGER_SHOP_V1_ITEM_SIDES_ENTRY_INIT;
    static stranger_shop_v1_item_sides_entry *sides[] = {&side};
    side.key = UINT64_MAX;
    side.value = box()->sides[0];
    item->n_sides = LENGTH(sides);
    item->sides = sides;
}

static void fill_well_known(stranger_shop_v1_item *item)
{
    static google_protobuf_timestamp since;
    static google_protobuf_timestamp *seen[] = {&since, &since};
    since = at(-62135596800);
    item->since = &since;
    item->n_seen = LENGTH(seen);
    item->seen = seen;

    static google_protobuf_duration shelf_life = GOOGLE_PROTOBUF_DURATION_INIT;
    shelf_life.seconds = 86400;
    item->shelf_life = &shelf_life;

    static google_protobuf_any extra = GOOGLE_PROTOBUF_ANY_INIT;
    extra.type_url = "type.googleapis.com/stranger.shop.v1.Nothing";
    extra.value = BYTES;
    item->extra = &extra;

    static google_protobuf_string_value nickname = GOOGLE_PROTOBUF_STRING_VALUE_INIT;
    nickname.value = "nick";
    item->nickname = &nickname;
    static google_protobuf_int64_value stock = GOOGLE_PROTOBUF_INT64_VALUE_INIT;
    stock.value = INT64_MAX;
    item->stock = &stock;

    static google_protobuf_field_mask mask = GOOGLE_PROTOBUF_FIELD_MASK_INIT;
    static const char *paths[] = {"name", "box.sides"};
    mask.n_paths = LENGTH(paths);
    mask.paths = paths;
    item->mask = &mask;
}

static void fill_scalars(stranger_shop_v1_item *item)
{
    static int32_t packed[] = {-1, 0, INT32_MIN, INT32_MAX};
    static float not_packed[] = {0, -1.5f};
    item->name = "an item";
    item->n_packed = LENGTH(packed);
    item->packed = packed;
    item->n_not_packed = LENGTH(not_packed);
    item->not_packed = not_packed;
    item->weight = 2.5f;
    item->code = UINT64_MAX;
    item->offset = INT64_MIN;
    item->old = UINT32_MAX;
    item->size_case = STRANGER_SHOP_V1_ITEM_SIZE_BY_COLOUR;
    item->by_colour = STRANGER_SHOP_V1_ITEM_BOX_SIDE_COLOUR_NAME_RED;
    item->note_case = STRANGER_SHOP_V1_ITEM_NOTE_PRIVATE_NOTE;
    item->private_note = "private";
}

const stranger_shop_v1_item *message_item(void)
{
    static stranger_shop_v1_item item = STRANGER_SHOP_V1_ITEM_INIT;
    if (item.name[0] != '\0')
        return &item;
    static stranger_common_money price;
    static stranger_common_stamped stamped = STRANGER_COMMON_STAMPED_INIT;
    price = money(-7);
    item.box = box();
    item.price = &price;
    fill_scalars(&item);
    fill_maps(&item);
    fill_well_known(&item);
    stamped.at = item.since;
    item.stamped = &stamped;
    return &item;
}

const stranger_legacy_old *message_old(void)
{
    static stranger_legacy_old_part part = STRANGER_LEGACY_OLD_PART_INIT;
    static stranger_legacy_old_part *parts[] = {&part, &part};
    static int32_t packed[] = {1, -1};
    static stranger_legacy_old old = STRANGER_LEGACY_OLD_INIT;
    part.index = 3;
    old.name = "old";
    old.has_number = true;
    old.number = 0;
    old.has_raw = true;
    old.raw = BYTES;
    old.has_level = true;
    old.level = STRANGER_LEGACY_LEVEL_LOW;
    old.part = &part;
    old.n_packed = LENGTH(packed);
    old.packed = packed;
    old.n_parts = LENGTH(parts);
    old.parts = parts;
    old.choice_case = STRANGER_LEGACY_OLD_CHOICE_TWO;
    old.two = &part;
    return &old;
}
